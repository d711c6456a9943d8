"""Committed offsets: as values, as records of __consumer_offsets, and when they expire.

    key   := type:int16=1 group topic partition
    value := version:int16 offset leader_epoch:3+ metadata commit_timestamp expire_timestamp:1
             topic_id:4+

Version 4, and 1 for a commit that brings its own retention: what Apache Kafka 4.3 writes.
"""
from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from fastbroker.group.classic.record import Record
from fastbroker.group.classic.state import State
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.model import ZERO_UUID, TopicPartition
from fastbroker.protocol.group_records import (
    LegacyOffsetCommitValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from fastbroker.protocol.record_frames import encode_key, encode_value

VALUE_VERSION = 4
VALUE_VERSION_WITH_EXPIRY = 1
NEVER_GIVEN = -1


class CommittedOffset(NamedTuple):
    """What a group committed for one partition.

    expire_timestamp_ms: -1 without a retention of its own. topic_id: of the topic then, zeros if
    unknown; another topic of that name has no offset.
    """

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int = NEVER_GIVEN
    topic_id: bytes = ZERO_UUID

    def is_of(self, topic_id: bytes | None) -> bool:
        """Whether it may be an offset of the topic with that id; None if there is none now."""
        return topic_id is None or self.topic_id in (ZERO_UUID, topic_id)

    def record(self, group_id: str, at: TopicPartition) -> Record:
        """The record that keeps it."""
        value = OffsetCommitValue(
            offset=self.offset,
            leader_epoch=self.leader_epoch,
            metadata=self.metadata,
            commit_timestamp=self.commit_timestamp_ms,
            expire_timestamp=self.expire_timestamp_ms,
            topic_id=self.topic_id,
        )
        own = self.expire_timestamp_ms != NEVER_GIVEN
        version = VALUE_VERSION_WITH_EXPIRY if own else VALUE_VERSION
        return _key(group_id, at), encode_value(value, version)

    @classmethod
    def of(cls, value: OffsetCommitValue | LegacyOffsetCommitValue) -> CommittedOffset:
        """What a record keeps."""
        if isinstance(value, LegacyOffsetCommitValue):
            return cls(value.offset, -1, value.metadata, value.commit_timestamp)
        return cls(
            value.offset,
            value.leader_epoch,
            value.metadata,
            value.commit_timestamp,
            value.expire_timestamp,
            value.topic_id,
        )


class OffsetTable:
    """The committed offsets of the groups of one partition of __consumer_offsets.

    A group is in `groups` exactly while it has one.
    """

    def __init__(self) -> None:
        self.groups: dict[str, dict[TopicPartition, CommittedOffset]] = {}

    def put(self, group_id: str, at: TopicPartition, committed: CommittedOffset) -> None:
        self.groups.setdefault(group_id, {})[at] = committed

    def remove(self, group_id: str, at: TopicPartition) -> None:
        offsets = self.groups.get(group_id)
        if offsets is not None:
            offsets.pop(at, None)
            if not offsets:
                del self.groups[group_id]

    def of(self, group_id: str) -> dict[TopicPartition, CommittedOffset]:
        """The offsets of a group; not to be changed."""
        return self.groups.get(group_id, {})

    def on_topics(self, names: set[str]) -> Iterator[tuple[str, TopicPartition]]:
        """Every (group id, partition) with an offset on one of the topics."""
        for group_id, offsets in self.groups.items():
            yield from ((group_id, at) for at in offsets if at.topic in names)


def tombstone(group_id: str, at: TopicPartition) -> Record:
    """The record that deletes an offset."""
    return _key(group_id, at), None


def expired(
    group: AnyGroup,
    offsets: dict[TopicPartition, CommittedOffset],
    *,
    now_ms: int,
    retention_ms: int,
) -> list[TopicPartition]:
    """The partitions whose offsets are given up.

    Counted from when the group became empty; from the commit for a group without members ever,
    and for topics that a stable consumer group no longer subscribes to; of a group with the
    consumer protocol, always from the commit. KIP-211, KIP-496.
    """
    if isinstance(group, ConsumerGroup):
        return _over(offsets, None, group.subscribed_topics(), now_ms, retention_ms)
    empty = group.protocol_type is not None and group.state is State.EMPTY
    topics = group.subscribed_topics()
    stable = group.state is State.STABLE and topics is not None
    if not empty and not stable and group.protocol_type is not None:
        return []
    since_ms = group.state_since_ms if empty else None
    return _over(offsets, since_ms, topics or (), now_ms, retention_ms)


def _over(
    offsets: dict[TopicPartition, CommittedOffset],
    empty_since_ms: int | None,
    read: Container[str],
    now_ms: int,
    retention_ms: int,
) -> list[TopicPartition]:
    over = []
    for at, committed in offsets.items():
        since_ms = committed.commit_timestamp_ms if empty_since_ms is None else empty_since_ms
        if committed.expire_timestamp_ms != NEVER_GIVEN:
            is_over = now_ms >= committed.expire_timestamp_ms
        else:
            is_over = now_ms - since_ms >= retention_ms
        if is_over and at.topic not in read:
            over.append(at)
    return over


def _key(group_id: str, at: TopicPartition) -> bytes:
    return encode_key(OffsetCommitKey(group=group_id, topic=at.topic, partition=at.partition))
