"""What a group waits for and what ends next: an answer for people, in fields of our own.

DescribeGroups (from version 5 on) and ConsumerGroupDescribe carry them as a tagged field with
PRIVATE_TAG: `explain` in the request asks, and each described group that exists brings an
`explanation`. A client that does not ask gets Kafka's bytes and no others; one that does not know
the tag skips it, as every flexible version has to.

Times are wall clock, ms since the epoch. Lists are cut off at LONGEST.
"""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i32, i64, string

LONGEST = 20


class AwaitedMember(Struct):
    """A member that has yet to do its part.

    what: "join", "sync", "assign" (the leader), or "come back" with the id it was given; of a
    consumer group "let go of partitions" or "send a heartbeat".
    """

    member_id: str = string()
    group_instance_id: str | None = string(default=None, nullable="0+")
    client_id: str = string()
    client_host: str = string()
    what: str = string()
    since_ms: int = i64(default=-1)


class Deadline(Struct):
    """Something that ends unless it is prolonged.

    what: "rebalance", "first joins", "sync", "session" or "offsets". member_id: "" when it is the
    group's; in a consumer group each member has its own. consequence: what happens then, as half a
    sentence.
    """

    what: str = string()
    member_id: str = string()
    group_instance_id: str | None = string(default=None, nullable="0+")
    at_ms: int = i64()
    consequence: str = string()


class UnstableOffset(Struct):
    """An offset that waits for the end of a producer's transaction."""

    topic: str = string()
    partition: int = i32()
    producer_id: int = i64()


class Explanation(Struct):
    """summary: one sentence. since_ms: when the group came into its state; -1 unknown.

    reason: why the newest rebalance began, "" when that is not known any more.
    """

    now_ms: int = i64()
    since_ms: int = i64(default=-1)
    summary: str = string()
    reason: str = string()
    awaited: list[AwaitedMember] = array(AwaitedMember)
    deadlines: list[Deadline] = array(Deadline)  # the soonest first
    unstable_offsets: list[UnstableOffset] = array(UnstableOffset)
