"""What is kept of a consumer group in __consumer_offsets, in Apache Kafka's formats.

    type  key                  value
    3     group                group epoch, hash of the subscribed topics
    5     group, member        what the member said: Subscription
    6     group                epoch of the target assignment, when it was made
    7     group, member        the member's target assignment
    8     group, member        where the member is: Current
    16    group, regex         the topics that it matches
    4     group                topics as Kafka 4.0 kept them; only deleted here

Versions are all 0. No value: what the key names is gone.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastbroker.group.classic.record import Record
from fastbroker.group.consumer.assignor.spec import Assignment
from fastbroker.group.consumer.member import ClassicSide, Current, Owned, Subscription
from fastbroker.group.consumer.state import MemberState
from fastbroker.protocol.group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    TopicPartitions,
)
from fastbroker.protocol.record_frames import encode_key, encode_value
from fastbroker.protocol.schema import Struct

VERSION = 0
TargetPartitions = ConsumerGroupTargetAssignmentMemberValue.TopicPartition
ClassicMetadata = ConsumerGroupMemberMetadataValue.ClassicMemberMetadata


class Epoch(NamedTuple):
    """A group's epoch, and the hash of the topics it was raised for."""

    epoch: int
    metadata_hash: int


class TargetEpoch(NamedTuple):
    """The group epoch a target assignment was made for, and when (wall clock; 0: not known)."""

    epoch: int
    made_at_ms: int


class Resolved(NamedTuple):
    """The topics a regex matches. version: of the metadata it was resolved with."""

    topics: frozenset[str]
    version: int
    at_ms: int


def epoch_record(group_id: str, value: Epoch | None) -> Record:
    key = ConsumerGroupMetadataKey(group_id=group_id)
    return _record(key, value, lambda one: ConsumerGroupMetadataValue(
        epoch=one.epoch, metadata_hash=one.metadata_hash))  # fmt: skip


def target_epoch_record(group_id: str, value: TargetEpoch | None) -> Record:
    key = ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id)
    return _record(key, value, lambda one: ConsumerGroupTargetAssignmentMetadataValue(
        assignment_epoch=one.epoch, assignment_timestamp=one.made_at_ms))  # fmt: skip


def subscription_record(group_id: str, member_id: str, value: Subscription | None) -> Record:
    key = ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id)
    return _record(key, value, _subscription_value)


def target_record(group_id: str, member_id: str, value: Assignment | None) -> Record:
    key = ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    return _record(key, value, lambda one: ConsumerGroupTargetAssignmentMemberValue(
        topic_partitions=[
            TargetPartitions(topic_id=topic, partitions=list(numbers))
            for topic, numbers in one.items()
        ]))  # fmt: skip


def current_record(group_id: str, member_id: str, value: Current | None) -> Record:
    key = ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id)
    return _record(key, value, lambda one: ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=one.epoch,
        previous_member_epoch=one.previous_epoch,
        state=int(one.state),
        assigned_partitions=_written(one.assigned),
        partitions_pending_revocation=_written(one.revoking),
    ))  # fmt: skip


def regex_record(group_id: str, regex: str, value: Resolved | None) -> Record:
    key = ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex)
    return _record(key, value, lambda one: ConsumerGroupRegularExpressionValue(
        topics=sorted(one.topics), version=one.version, timestamp=one.at_ms))  # fmt: skip


def old_topics_tombstone(group_id: str) -> Record:
    return encode_key(ConsumerGroupPartitionMetadataKey(group_id=group_id)), None


def subscription_of(value: ConsumerGroupMemberMetadataValue) -> Subscription:
    """What a record of type 5 says."""
    classic = value.classic_member_metadata
    return Subscription(
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        topics=frozenset(value.subscribed_topic_names),
        regex=value.subscribed_topic_regex or "",
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        assignor=value.server_assignor,
        classic=None
        if classic is None
        else ClassicSide(
            classic.session_timeout_ms,
            tuple((one.name, bytes(one.metadata)) for one in classic.supported_protocols),
        ),
    )


def target_of(value: ConsumerGroupTargetAssignmentMemberValue) -> Assignment:
    """What a record of type 7 says."""
    return {one.topic_id: tuple(sorted(one.partitions)) for one in value.topic_partitions}


def current_of(value: ConsumerGroupCurrentMemberAssignmentValue) -> Current:
    """What a record of type 8 says. Assignment epochs that are not there: the member's epoch."""
    known = value.state in (0, 1, 2)
    return Current(
        value.member_epoch,
        value.previous_member_epoch,
        MemberState(value.state) if known else MemberState.UNKNOWN,
        _read(value.assigned_partitions, value.member_epoch),
        _read(value.partitions_pending_revocation, value.member_epoch),
    )


def _subscription_value(one: Subscription) -> ConsumerGroupMemberMetadataValue:
    classic = None
    if one.classic is not None:
        classic = ClassicMetadata(
            session_timeout_ms=one.classic.session_timeout_ms,
            supported_protocols=[
                ClassicMetadata.ClassicProtocol(name=name, metadata=metadata)
                for name, metadata in one.classic.protocols
            ],
        )
    return ConsumerGroupMemberMetadataValue(
        instance_id=one.instance_id,
        rack_id=one.rack_id,
        client_id=one.client_id,
        client_host=one.client_host,
        subscribed_topic_names=sorted(one.topics),
        subscribed_topic_regex=one.regex,
        rebalance_timeout_ms=one.rebalance_timeout_ms,
        server_assignor=one.assignor,
        classic_member_metadata=classic,
    )


def _written(owned: Owned) -> list[TopicPartitions]:
    return [
        TopicPartitions(
            topic_id=topic, partitions=list(numbers), assignment_epochs=list(numbers.values())
        )
        for topic, numbers in owned.items()
    ]


def _read(written: list[TopicPartitions], member_epoch: int) -> Owned:
    out = {}
    for one in written:
        epochs = one.assignment_epochs
        if epochs is None or len(epochs) != len(one.partitions):
            epochs = [member_epoch] * len(one.partitions)
        out[one.topic_id] = dict(zip(one.partitions, epochs, strict=True))
    return out


def _record(key: Struct, value: Any, encoded: Callable[[Any], Struct]) -> Record:
    return encode_key(key), None if value is None else encode_value(encoded(value), VERSION)
