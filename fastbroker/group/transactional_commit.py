"""TxnOffsetCommit: which offsets a transaction may set, and the answers that clients understand.

Kafka: OffsetMetadataManager.commitTransactionalOffset, CoordinatorPartitionWriter; KIP-98,
KIP-447 (member and generation), KIP-890 (verification, TRANSACTION_ABORTABLE).
"""
from __future__ import annotations

from fastbroker.errors import (
    CoordinatorLoadInProgress,
    CoordinatorNotAvailable,
    IllegalGeneration,
    InvalidProducerEpoch,
    InvalidTxnState,
    NetworkException,
    OffsetMetadataTooLarge,
    OperationNotAttempted,
    ProducerFenced,
    StaleMemberEpoch,
    TransactionAbortable,
    UnknownTopicOrPartition,
)
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.offsets import CommittedOffset
from fastbroker.group.topics import Topics
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)

ADDS_PARTITION = 5  # from this version on the commit makes its partition part of the transaction
KNOWS_ABORTABLE = 4  # from this version on a client knows TRANSACTION_ABORTABLE
KNOWS_LOADING = 2  # clients of older versions die of COORDINATOR_LOAD_IN_PROGRESS (KAFKA-7296)

Topic = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic
Partition = Topic.TxnOffsetCommitResponsePartition
Commits = list[tuple[TopicPartition, CommittedOffset]]


def check(group: ClassicGroup | None, request: TxnOffsetCommitRequest) -> None:
    """Whether the sender may commit now; consumer groups are asked by consumer/commit.py.

    Who names no member, generation or instance id, as before version 3, is not asked for them; a
    group in a rebalance takes transactional commits. Raises CoordinatorNotAvailable,
    IllegalGeneration, UnknownMemberId, FencedInstanceId.
    """
    generation = request.generation_id
    if group is None:
        if generation < 0:
            return
        raise IllegalGeneration("the group does not exist: join it first")
    if group.state is State.DEAD:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    if generation < 0 and group.state is State.EMPTY:
        return
    if generation < 0 and not request.member_id and request.group_instance_id is None:
        return
    group.roster.check(request.member_id, request.group_instance_id)
    if generation != group.generation_id:
        raise IllegalGeneration(f"the group is in generation {group.generation_id}: join again")


def sort_out(
    request: TxnOffsetCommitRequest, *, topics: Topics, now_ms: int, metadata_max_bytes: int
) -> tuple[TxnOffsetCommitResponse, Commits]:
    """The answer if everything that can be written is, and what to write."""
    commits: Commits = []
    answered = []
    for topic in request.topics:
        topic_id = topics.topic_id(topic.name)
        told = Topic(name=topic.name, partitions=[])
        answered.append(told)
        for partition in topic.partitions:
            metadata = partition.committed_metadata or ""
            number, error = partition.partition_index, 0
            if topic_id is None or not topics.has_partition(topic.name, number):
                error = UnknownTopicOrPartition.code
            elif len(metadata) > metadata_max_bytes:
                error = OffsetMetadataTooLarge.code
            else:
                committed = CommittedOffset(
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp_ms=now_ms,
                    topic_id=topic_id,
                )
                commits.append((TopicPartition(topic.name, number), committed))
            told.partitions.append(Partition(partition_index=number, error_code=error))
    return TxnOffsetCommitResponse(topics=answered), commits


def failed(response: TxnOffsetCommitResponse, error_code: int, api_version: int) -> None:
    """Make it the answer of a request that fails as a whole: what has no error yet gets this."""
    told = told_error(error_code, api_version)
    for topic in response.topics:
        for partition in topic.partitions:
            if not partition.error_code:
                partition.error_code = told


def told_error(error_code: int, api_version: int) -> int:
    """An error as clients of that version handle it."""
    if error_code == ProducerFenced.code:
        return InvalidProducerEpoch.code
    if error_code == StaleMemberEpoch.code:
        return IllegalGeneration.code  # producers know no member epochs
    if error_code in (NetworkException.code, OperationNotAttempted.code):
        # To be tried again, without a look-up. Not attempted: the producer has asked at the same
        # moment for another partition, one that the coordinator does not know yet.
        error_code = CoordinatorLoadInProgress.code
    if error_code == TransactionAbortable.code and api_version < KNOWS_ABORTABLE:
        return InvalidTxnState.code
    if error_code == CoordinatorLoadInProgress.code and api_version < KNOWS_LOADING:
        return CoordinatorNotAvailable.code
    return error_code
