"""What classic consumers say inside JoinGroup and are told inside SyncGroup.

    bytes := version:int16 ConsumerProtocolSubscription or ConsumerProtocolAssignment

A version that is newer than ours is read as ours: it begins with the same fields.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct as Layout
from typing import Any

from fastbroker._c.codec import Malformed, decode, encode
from fastbroker.protocol.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)
from fastbroker.protocol.header import REQUEST_ITEMS_MAX
from fastbroker.protocol.schema import Struct, plan

NEWEST = 3
_SHORT = Layout(">h")


def version(data: bytes) -> int:
    """The version of either, of those that we know."""
    if len(data) < 2:
        return 0
    return max(0, min(NEWEST, int(_SHORT.unpack_from(data)[0])))


def subscription(data: bytes) -> ConsumerProtocolSubscription | None:
    """What a member said; None for what cannot be read."""
    found = _decoded(ConsumerProtocolSubscription, data)
    return found if isinstance(found, ConsumerProtocolSubscription) else None


def assignment(data: bytes) -> dict[str, list[int]] | None:
    """Partitions by topic; none for a member without an assignment, None for what is unreadable."""
    if not data:
        return {}
    found = _decoded(ConsumerProtocolAssignment, data)
    return None if found is None else by_topic(found.assigned_partitions)


def by_topic(partitions: Iterable[Any]) -> dict[str, list[int]]:
    return {one.topic: list(one.partitions) for one in partitions}


def assignment_bytes(partitions: Mapping[str, Sequence[int]], version: int) -> bytes:
    """The bytes of an assignment."""
    value = ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignment.TopicPartition(topic=name, partitions=sorted(numbers))
            for name, numbers in partitions.items()
        ]
    )
    return encode(plan(ConsumerProtocolAssignment, version), value, _SHORT.pack(version))


def _decoded(cls: type[Struct], data: bytes) -> Any:
    if len(data) < 2:
        return None
    try:
        found, _ = decode(plan(cls, version(data)), data, 2, REQUEST_ITEMS_MAX)
    except Malformed:
        return None
    return found
