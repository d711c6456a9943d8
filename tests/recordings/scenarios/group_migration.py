"""From a classic group to a consumer group and back, while members are in it (KIP-848)."""
from __future__ import annotations

import struct
from typing import Any

from fastbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.consumer_groups import (
    beat,
    describe,
    join,
    leave,
    prompt_group,
    seen,
)
from tests.recordings.scenarios.group_deletion import offsets
from tests.recordings.scenarios.group_offsets import commit
from tests.recordings.scenarios.groups import beat as classic_beat
from tests.recordings.scenarios.groups import join as classic_join
from tests.recordings.scenarios.groups import leave as classic_leave
from tests.recordings.scenarios.groups import sync as classic_sync
from tests.recordings.scenarios.prepare import topic

MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS = 79, 27
A, B = "member-a", "member-b"


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def numbers(partitions: list[int]) -> bytes:
    return struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)


def subscription(topics: list[str], owned: dict[str, list[int]], generation: int = -1) -> bytes:
    """ConsumerProtocolSubscription, version 2."""
    names = struct.pack(">i", len(topics)) + b"".join(map(text, topics))
    parts = struct.pack(">i", len(owned))
    parts += b"".join(text(name) + numbers(p) for name, p in owned.items())
    return struct.pack(">h", 2) + names + struct.pack(">i", -1) + parts + struct.pack(
        ">i", generation
    )


def assignment(topics: dict[str, list[int]]) -> bytes:
    """ConsumerProtocolAssignment, version 1."""
    rows = b"".join(text(name) + numbers(p) for name, p in topics.items())
    return struct.pack(">hi", 1, len(topics)) + rows + struct.pack(">i", -1)


def protocols(topics: list[str], owned: dict[str, list[int]] | None = None) -> list[Any]:
    return [{"name": "range", "metadata": subscription(topics, owned or {})}]


def enter(s: Scene, group: str, topics: list[str], **more: Any) -> Steps:
    """A classic member's join, twice where it needs an id; the answer."""
    fields = {"protocols": protocols(topics), "session_timeout_ms": 45_000,
              "rebalance_timeout_ms": 60_000, "at": 9} | more  # fmt: skip
    answer = yield classic_join(s, None, group, **fields)
    if answer.error_code == MEMBER_ID_REQUIRED:
        answer = yield classic_join(s, None, group, answer.member_id, **fields)
    return answer


def classic_group(s: Scene, group: str, t: tuple[str, bytes], partitions: int) -> Steps:
    """A stable classic group of one, who has all; (member, generation)."""
    answer = yield from enter(s, group, [t[0]])
    member = answer.member_id
    all_ = assignment({t[0]: [*range(partitions)]})
    yield classic_sync(s, None, group, answer.generation_id, member, {member: all_}, at=5)
    return member, answer.generation_id


def which(s: Scene, label: str, group: str) -> Steps:
    yield s.ask(f"its type: {label}", ListGroupsRequest, at=5, only=group)
    yield describe(s, f"the group: {label}", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,), group="group_migration")
def a_classic_group_is_upgraded(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=4)
    yield from seen(s, t)
    old, generation = yield from classic_group(s, group, t, 4)
    yield commit(s, None, group, (t, {0: 7}), member=old, generation=generation, at=8)
    yield from which(s, "classic", group)
    joined = yield join(s, "a consumer joins", group, B, t[0])
    yield from which(s, "both", group)
    yield s.ask("described as a classic one", DescribeGroupsRequest, at=5, groups=[group])
    yield offsets(s, "its offsets are kept", group)
    yield beat(s, "the consumer waits", group, B, joined.member_epoch, {})
    yield classic_beat(s, "the classic member is told", group, generation, old, at=4)
    yield commit(s, "the classic member commits", group, (t, {0: 8}), member=old,
                 generation=generation, at=8)  # fmt: skip
    again = yield classic_join(s, "the classic member joins again", group, old, at=9,
                               protocols=protocols([t[0]], {t[0]: [0, 1]}),
                               session_timeout_ms=45_000, rebalance_timeout_ms=60_000)  # fmt: skip
    yield classic_sync(s, "the classic member syncs", group, again.generation_id, old, at=5)
    yield classic_beat(s, "the classic member beats", group, again.generation_id, old, at=4)
    yield beat(s, "the consumer gets its part", group, B, joined.member_epoch, {})
    yield from which(s, "settled", group)
    yield classic_beat(s, "the classic member beats with its old generation", group, generation,
                       old, at=4)  # fmt: skip
    yield commit(s, "the classic member commits then", group, (t, {0: 9}), member=old,
                 generation=again.generation_id, at=8)  # fmt: skip
    yield classic_leave(s, "the classic member leaves", group, old, at=5)
    yield beat(s, "the consumer gets the rest", group, B, joined.member_epoch)
    yield from which(s, "of consumers", group)
    yield leave(s, "the consumer leaves", group, B)
    yield from which(s, "empty", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,), group="group_migration")
def a_consumer_group_is_downgraded(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    first = yield join(s, "a consumer joins", group, A, t[0])
    epoch = first.member_epoch
    yield beat(s, None, group, A, epoch, {t[1]: [0, 1]})
    yield commit(s, None, group, (t, {0: 7}), member=A, generation=epoch, at=9)
    fields = {"protocols": protocols([t[0]]), "session_timeout_ms": 45_000,
              "rebalance_timeout_ms": 60_000, "at": 9}  # fmt: skip
    answer = yield classic_join(s, "a classic member asks for an id", group, **fields)
    old = answer.member_id
    answer = yield classic_join(s, "a classic member joins", group, old, **fields)
    yield classic_sync(s, "the classic member syncs", group, answer.generation_id, old, at=5)
    yield from which(s, "both", group)
    told = yield beat(s, "the consumer is told", group, A, epoch)
    kept = list(told.assignment.topic_partitions[0].partitions) if told.assignment else []
    yield beat(s, "the consumer gives its part", group, A, epoch, {t[1]: kept})
    yield classic_beat(s, "the classic member is told", group, answer.generation_id, old, at=4)
    again = yield classic_join(s, "the classic member joins again", group, old, **fields)
    yield classic_sync(s, "the classic member gets its part", group, again.generation_id, old, at=5)
    yield from which(s, "settled", group)
    yield leave(s, "the consumer leaves", group, A)
    yield s.ask("its type: classic", ListGroupsRequest, at=5, only=group)
    yield s.ask("described as a classic one", DescribeGroupsRequest, at=5, groups=[group],
                keep=("groups",))  # fmt: skip
    yield offsets(s, "its offsets are kept", group)
    yield classic_beat(s, "the classic member is told again", group, again.generation_id, old,
                       at=4)  # fmt: skip
    last = yield classic_join(s, "the classic member joins at last", group, old, **fields)
    yield classic_sync(s, "the classic member leads", group, last.generation_id, old,
                       {old: assignment({t[0]: [0, 1]})}, at=5)  # fmt: skip
    yield classic_beat(s, "the classic member beats", group, last.generation_id, old, at=4)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,), group="group_migration")
def empty_groups_change(s: Scene) -> Steps:
    """Each way, with offsets that are kept."""
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    old, generation = yield from classic_group(s, group, t, 2)
    yield commit(s, None, group, (t, {0: 7}), member=old, generation=generation, at=8)
    yield classic_leave(s, None, group, old, at=5)
    yield join(s, "a consumer joins", group, A, t[0])
    yield from which(s, "consumer", group)
    yield offsets(s, "its offsets", group)
    yield leave(s, "it leaves", group, A)
    yield from which(s, "empty", group)
    answer = yield from enter(s, group, [t[0]])
    yield classic_sync(s, "a classic member syncs", group, answer.generation_id, answer.member_id,
                       {answer.member_id: assignment({t[0]: [0, 1]})}, at=5)  # fmt: skip
    yield s.ask("its type: classic", ListGroupsRequest, at=5, only=group)
    yield offsets(s, "its offsets then", group)
    simple = yield from prompt_group(s, "simple")
    yield commit(s, None, simple, (t, {0: 3}), at=8)
    yield join(s, "a consumer joins a group of offsets only", simple, A, t[0])
    yield offsets(s, "the offsets are kept", simple)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,), group="group_migration")
def groups_that_do_not_change(s: Scene) -> Steps:
    other, broken, waiting = (s.name(w) for w in ("other", "broken", "waiting"))
    t = yield from topic(s)
    yield from seen(s, t)

    def hand_in(group: str, answer: Any, data: bytes) -> Step:
        return classic_sync(s, None, group, answer.generation_id, answer.member_id,
                            {answer.member_id: data}, at=3)  # fmt: skip

    answer = yield from enter(s, other, [t[0]], protocol_type="connect")
    yield hand_in(other, answer, b"x")
    yield join(s, "a group that is no consumer's", other, A, t[0])
    answer = yield from enter(s, broken, [], protocols=[{"name": "range", "metadata": b"\1"}])
    yield hand_in(broken, answer, b"x")
    yield join(s, "a group whose metadata is none", broken, A, t[0])
    yield from enter(s, waiting, [t[0]])
    yield join(s, "a group whose leader has not synced", waiting, A, t[0],
               keep=("error_code", "member_epoch"))  # fmt: skip
    yield s.ask("they are classic still", ListGroupsRequest, at=5, only=s.prefix)
