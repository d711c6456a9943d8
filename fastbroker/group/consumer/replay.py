"""Records of consumer groups, applied: when a partition is loaded, and when a write completes late.

Compaction keeps the last record of each key, so the records of one group may come in any order:
whichever is first makes the group, and its members.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.records import (
    Epoch,
    Resolved,
    TargetEpoch,
    current_of,
    subscription_of,
    target_of,
)
from fastbroker.protocol.group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)
from fastbroker.protocol.record_frames import decode_value
from fastbroker.protocol.schema import Struct


def _epoch(group: ConsumerGroup, _: Any, value: Any) -> None:
    group.set_epoch(None if value is None else Epoch(value.epoch, value.metadata_hash))


def _target_epoch(group: ConsumerGroup, _: Any, value: Any) -> None:
    group.set_target_epoch(
        None if value is None else TargetEpoch(value.assignment_epoch, value.assignment_timestamp)
    )


def _subscription(group: ConsumerGroup, key: Any, value: Any) -> None:
    group.set_subscription(key.member_id, None if value is None else subscription_of(value))


def _target(group: ConsumerGroup, key: Any, value: Any) -> None:
    group.set_target(key.member_id, None if value is None else target_of(value))


def _current(group: ConsumerGroup, key: Any, value: Any) -> None:
    group.set_current(key.member_id, None if value is None else current_of(value))


def _regex(group: ConsumerGroup, key: Any, value: Any) -> None:
    resolved = None
    if value is not None:
        resolved = Resolved(frozenset(value.topics), value.version, value.timestamp)
    group.set_regex(key.regular_expression, resolved)


def _old_topics(group: ConsumerGroup, _: Any, value: Any) -> None:
    group.has_old_topics = value is not None


_APPLY: dict[type[Struct], tuple[type[Struct], Callable[[ConsumerGroup, Any, Any], None]]] = {
    ConsumerGroupMetadataKey: (ConsumerGroupMetadataValue, _epoch),
    ConsumerGroupPartitionMetadataKey: (ConsumerGroupPartitionMetadataValue, _old_topics),
    ConsumerGroupMemberMetadataKey: (ConsumerGroupMemberMetadataValue, _subscription),
    ConsumerGroupTargetAssignmentMetadataKey: (
        ConsumerGroupTargetAssignmentMetadataValue, _target_epoch,
    ),
    ConsumerGroupTargetAssignmentMemberKey: (ConsumerGroupTargetAssignmentMemberValue, _target),
    ConsumerGroupCurrentMemberAssignmentKey: (ConsumerGroupCurrentMemberAssignmentValue, _current),
    ConsumerGroupRegularExpressionKey: (ConsumerGroupRegularExpressionValue, _regex),
}  # fmt: skip
KEYS = tuple(_APPLY)


def replay(group: ConsumerGroup, key: Struct, value: bytes | None) -> None:
    """Apply one record; `key` is one of KEYS. Raises CorruptFrame."""
    cls, apply = _APPLY[type(key)]
    apply(group, key, None if value is None else decode_value(value, cls))


def is_gone(group: ConsumerGroup) -> bool:
    """Whether the records said that there is no such group any more."""
    return (
        group.epoch_kept is None
        and group.target_epoch_kept is None
        and not group.members
        and not group.resolved
        and not group.has_old_topics
    )
