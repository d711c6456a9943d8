"""OffsetCommit and OffsetDelete: which offsets a group may set and drop, and their answers."""
from __future__ import annotations

from fastbroker.errors import (
    CoordinatorNotAvailable,
    GroupIdNotFound,
    GroupSubscribedToTopic,
    IllegalGeneration,
    NonEmptyGroup,
    OffsetMetadataTooLarge,
    RebalanceInProgress,
    UnknownMemberId,
    UnknownTopicId,
    UnknownTopicOrPartition,
)
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.consumer.group import AnyGroup
from fastbroker.group.offsets import NEVER_GIVEN, CommittedOffset
from fastbroker.group.topics import Topics
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse

BY_TOPIC_ID = 10  # from this version on topics are named by id
GROUP_NOT_FOUND = 9  # from this version on a missing group has its own error

Topic = OffsetCommitResponse.OffsetCommitResponseTopic
Partition = Topic.OffsetCommitResponsePartition
DeletedOffset = OffsetDeleteResponse.OffsetDeleteResponseTopic.OffsetDeleteResponsePartition
Commits = list[tuple[TopicPartition, CommittedOffset]]


def check_commit(
    group: ClassicGroup | None, request: OffsetCommitRequest, api_version: int
) -> None:
    """Whether the sender may commit now; a member's session is prolonged.

    Generation -1 without member is for groups that nobody joins ("simple" ones); such a group need
    not exist yet. Raises CoordinatorNotAvailable, GroupIdNotFound, IllegalGeneration,
    UnknownMemberId, FencedInstanceId, RebalanceInProgress.
    """
    generation = request.generation_id_or_member_epoch
    if group is None:
        if generation < 0:
            return
        if api_version >= GROUP_NOT_FOUND:
            raise GroupIdNotFound(f"group {request.group_id!r} does not exist: join it first")
        raise IllegalGeneration("the group does not exist: join it first")
    if group.state is State.DEAD:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    if generation < 0 and group.state is State.EMPTY:
        return
    if generation < 0 and not request.member_id and request.group_instance_id is None:
        raise UnknownMemberId("the group has members: only they commit its offsets")
    member = group.roster.check(request.member_id, request.group_instance_id)
    if generation != group.generation_id:
        raise IllegalGeneration(f"the group is in generation {group.generation_id}: join again")
    if group.state is State.COMPLETING:
        raise RebalanceInProgress("the group rebalances: join again")
    group.touch(member)


def sort_out(
    request: OffsetCommitRequest,
    *,
    api_version: int,
    topics: Topics,
    now_ms: int,
    metadata_max_bytes: int,
) -> tuple[OffsetCommitResponse, Commits]:
    """The answer if everything that can be written is, and what to write."""
    expire_ms = NEVER_GIVEN
    if request.retention_time_ms >= 0:
        expire_ms = now_ms + request.retention_time_ms
    commits: Commits = []
    answered = []
    for topic in request.topics:
        by_id = api_version >= BY_TOPIC_ID
        name = topics.topic_name(topic.topic_id) if by_id else topic.name
        topic_id = topic.topic_id if by_id else topics.topic_id(topic.name)
        unknown = 0
        if name is None or topic_id is None:
            unknown = UnknownTopicId.code if by_id else UnknownTopicOrPartition.code
        told = Topic(name=topic.name, topic_id=topic.topic_id, partitions=[])
        answered.append(told)
        for partition in topic.partitions:
            metadata = partition.committed_metadata or ""
            error = unknown
            if not error and not topics.has_partition(name or "", partition.partition_index):
                error = UnknownTopicOrPartition.code
            if not error and len(metadata) > metadata_max_bytes:
                error = OffsetMetadataTooLarge.code
            told.partitions.append(
                Partition(partition_index=partition.partition_index, error_code=error)
            )
            if not error:
                assert name is not None
                assert topic_id is not None
                committed = CommittedOffset(
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp_ms=now_ms,
                    expire_timestamp_ms=expire_ms,
                    topic_id=topic_id,
                )
                commits.append((TopicPartition(name, partition.partition_index), committed))
    return OffsetCommitResponse(topics=answered), commits


def all_failed(request: OffsetCommitRequest, error_code: int) -> OffsetCommitResponse:
    """The answer when the request fails as a whole."""
    return OffsetCommitResponse(
        topics=[
            Topic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    Partition(partition_index=p.partition_index, error_code=error_code)
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def check_delete(group: AnyGroup) -> None:
    """Whether offsets may be dropped: of an empty group, and of what consumers do not read.

    Raises GroupIdNotFound, NonEmptyGroup.
    """
    if group.dead:
        raise GroupIdNotFound(f"group {group.group_id} is being deleted")
    if not group.is_empty and not group.is_consumer:
        raise NonEmptyGroup(f"group {group.group_id} has members: stop them first")


def delete(
    group: AnyGroup, request: OffsetDeleteRequest, topics: Topics
) -> tuple[OffsetDeleteResponse, list[TopicPartition]]:
    """The answer to an OffsetDelete, and the partitions whose offsets are to go."""
    answered, gone = [], []
    read = group.subscribed_topics()
    for topic in request.topics:
        is_read = topic.name in read if read is not None else group.is_consumer
        told = OffsetDeleteResponse.OffsetDeleteResponseTopic(
            name=topic.name,
            partitions=[],
        )
        answered.append(told)
        for partition in topic.partitions:
            number, error = partition.partition_index, 0
            if not topics.has_partition(topic.name, number):
                error = UnknownTopicOrPartition.code
            elif is_read:
                error = GroupSubscribedToTopic.code
            else:
                gone.append(TopicPartition(topic.name, number))
            told.partitions.append(DeletedOffset(partition_index=number, error_code=error))
    return OffsetDeleteResponse(topics=answered), gone
