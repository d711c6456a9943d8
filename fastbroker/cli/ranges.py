"""Kafka's range assignment, and the bytes that members of a classic group exchange.

    metadata, assignment := version:int16 body

Each topic is dealt by itself: members in order of their ids get consecutive partitions, the first
ones get one more when it does not come out even.
"""
from __future__ import annotations

from collections.abc import Mapping
from struct import Struct as Layout

from fastbroker._c.codec import Malformed, decode, encode
from fastbroker.cli.output import Failure
from fastbroker.protocol.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)
from fastbroker.protocol.schema import Buffer, plan

# Every version begins with the fields of version 0, so one plan reads all.
VERSION = 0
_VERSION = Layout(">h")

Assignment = dict[str, list[int]]  # partitions by topic


def assign(
    topics_of: Mapping[str, list[str]], partitions_of: Mapping[str, list[int]]
) -> dict[str, Assignment]:
    """By member, its partitions; topics_of: by member, the topics it wants."""
    out: dict[str, Assignment] = {member: {} for member in topics_of}
    for topic in sorted({topic for topics in topics_of.values() for topic in topics}):
        members = sorted(member for member, topics in topics_of.items() if topic in topics)
        partitions = sorted(partitions_of.get(topic, ()))
        each, more = divmod(len(partitions), len(members))
        at = 0
        for n, member in enumerate(members):
            end = at + each + (1 if n < more else 0)
            if end > at:
                out[member][topic] = partitions[at:end]
            at = end
    return out


def encode_subscription(topics: list[str]) -> bytes:
    body = encode(plan(ConsumerProtocolSubscription, VERSION),
                  ConsumerProtocolSubscription(topics=topics))  # fmt: skip
    return _VERSION.pack(VERSION) + body


def decode_subscription(data: Buffer) -> list[str]:
    """The topics. Raises Failure."""
    try:
        found, _ = decode(plan(ConsumerProtocolSubscription, VERSION), data, _VERSION.size)
    except Malformed as error:
        raise Failure(f"a member of the group sent what is no subscription: {error}") from None
    return list(found.topics)


def encode_assignment(assignment: Assignment) -> bytes:
    one = ConsumerProtocolAssignment.TopicPartition
    body = ConsumerProtocolAssignment(
        assigned_partitions=[
            one(topic=topic, partitions=partitions) for topic, partitions in assignment.items()
        ]
    )
    return _VERSION.pack(VERSION) + encode(plan(ConsumerProtocolAssignment, VERSION), body)


def decode_assignment(data: Buffer) -> Assignment:
    """What a leader, ours or another program's, gave us; no bytes: nothing. Raises Failure."""
    if not len(data):
        return {}
    try:
        found, _ = decode(plan(ConsumerProtocolAssignment, VERSION), data, _VERSION.size)
    except Malformed as error:
        raise Failure(f"the group's leader sent what is no assignment: {error}") from None
    return {one.topic: list(one.partitions) for one in found.assigned_partitions}
