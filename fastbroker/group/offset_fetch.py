"""OffsetFetch: a group's committed offsets, in the three shapes that versions give them.

    1-7   one group at the top; its error at the top from version 2, in every partition before
    8-9   several groups, topics by name
    10    several groups, topics by id
"""
from __future__ import annotations

from collections.abc import Collection

from fastbroker.errors import UnknownTopicId, UnstableOffsetCommit
from fastbroker.group.offsets import CommittedOffset
from fastbroker.group.topics import Topics
from fastbroker.model import ZERO_UUID, TopicPartition
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse

MANY_GROUPS = 8
BY_TOPIC_ID = 10
ERROR_AT_TOP = 2
NOTHING = CommittedOffset(offset=-1, leader_epoch=-1, metadata="", commit_timestamp_ms=-1)

Asked = OffsetFetchRequest.OffsetFetchRequestGroup
AskedTopic = Asked.OffsetFetchRequestTopics
Group = OffsetFetchResponse.OffsetFetchResponseGroup
Topic = Group.OffsetFetchResponseTopics
Partition = Topic.OffsetFetchResponsePartitions
OldTopic = OffsetFetchResponse.OffsetFetchResponseTopic


def asked_groups(request: OffsetFetchRequest, api_version: int) -> list[Asked]:
    """The groups that are asked about, in any version."""
    if api_version >= MANY_GROUPS:
        return request.groups
    topics = request.topics
    return [
        Asked(
            group_id=request.group_id,
            topics=None
            if topics is None
            else [AskedTopic(name=t.name, partition_indexes=t.partition_indexes) for t in topics],
        )
    ]


def fetch(
    asked: Asked,
    offsets: dict[TopicPartition, CommittedOffset],
    unstable: Collection[TopicPartition],
    *,
    api_version: int,
    topics: Topics,
) -> Group:
    """The offsets of one group; -1 without an error where there is none.

    unstable: partitions with an offset in an open transaction, which the sender does not put up
    with.
    """
    if asked.topics is None:
        everything = _everything(offsets, unstable, topics)
        if api_version >= BY_TOPIC_ID:
            for known in everything:
                known.topic_id = topics.topic_id(known.name) or ZERO_UUID
            everything = [known for known in everything if known.topic_id != ZERO_UUID]
        return Group(group_id=asked.group_id, topics=everything)
    found = []
    for topic in asked.topics:
        by_id = api_version >= BY_TOPIC_ID
        name = topics.topic_name(topic.topic_id) if by_id else topic.name
        topic_id = topic.topic_id if by_id else topics.topic_id(topic.name)
        partitions = []
        for index in topic.partition_indexes:
            if name is None:
                partitions.append(_partition(index, NOTHING, UnknownTopicId.code))
                continue
            at = TopicPartition(name, index)
            if at in unstable:
                partitions.append(_partition(index, NOTHING, UnstableOffsetCommit.code))
                continue
            committed = offsets.get(at, NOTHING)
            if not committed.is_of(topic_id):
                committed = NOTHING
            partitions.append(_partition(index, committed))
        found.append(Topic(name=topic.name, topic_id=topic.topic_id, partitions=partitions))
    return Group(group_id=asked.group_id, topics=found)


def failed(asked: Asked, error_code: int) -> Group:
    """The answer for a group that cannot be asked."""
    return Group(
        group_id=asked.group_id,
        error_code=error_code,
        topics=[
            Topic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    _partition(index, NOTHING, error_code) for index in topic.partition_indexes
                ],
            )
            for topic in asked.topics or ()
        ],
    )


def response(groups: list[Group], api_version: int) -> OffsetFetchResponse:
    """The answer as the version has it. `groups`: as they were asked for."""
    if api_version >= MANY_GROUPS:
        for one in groups:
            if one.error_code:
                one.topics = []
        return OffsetFetchResponse(groups=groups)
    (only,) = groups
    return OffsetFetchResponse(
        error_code=only.error_code,
        topics=[
            OldTopic(
                name=topic.name,
                partitions=[
                    OldTopic.OffsetFetchResponsePartition(
                        partition_index=p.partition_index,
                        committed_offset=p.committed_offset,
                        committed_leader_epoch=p.committed_leader_epoch,
                        metadata=p.metadata,
                        error_code=p.error_code,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in only.topics
            if api_version < ERROR_AT_TOP or not only.error_code
        ],
    )


def _everything(
    offsets: dict[TopicPartition, CommittedOffset],
    unstable: Collection[TopicPartition],
    topics: Topics,
) -> list[Topic]:
    by_name: dict[str, list[Partition]] = {}
    for at, committed in offsets.items():
        if committed.is_of(topics.topic_id(at.topic)):
            told = _partition(at.partition, committed)
            if at in unstable:
                told = _partition(at.partition, NOTHING, UnstableOffsetCommit.code)
            by_name.setdefault(at.topic, []).append(told)
    return [Topic(name=name, partitions=partitions) for name, partitions in by_name.items()]


def _partition(index: int, committed: CommittedOffset, error_code: int = 0) -> Partition:
    return Partition(
        partition_index=index,
        committed_offset=committed.offset,
        committed_leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        error_code=error_code,
    )
