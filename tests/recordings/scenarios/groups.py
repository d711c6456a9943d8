"""The classic group's life: JoinGroup, SyncGroup, Heartbeat, LeaveGroup."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest
from fastbroker.protocol.messages.sync_group import SyncGroupRequest
from tests.recordings.scenario import Scene, Step, Steps, has, scenario
from tests.recordings.scenarios.prepare import coordinator

MEMBER_ID_REQUIRED = 79


def join(s: Scene, label: str | None, group: str, member: str = "", **more: Any) -> Step:
    fields: dict[str, Any] = {
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 10_000,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b"meta"}],
    }
    return s.ask(label, JoinGroupRequest, group_id=group, member_id=member, **(fields | more))


def join_send(s: Scene, group: str, member: str, connection: str, **more: Any) -> Step:
    return join(s, None, group, member, connection=connection, receives=False, **more)


def sync(
    s: Scene, label: str | None, group: str, generation: int, member: str,
    assignments: dict[str, bytes] | None = None, **more: Any,
) -> Step:  # fmt: skip
    rows = [{"member_id": m, "assignment": a} for m, a in (assignments or {}).items()]
    fields: dict[str, Any] = {"protocol_type": "consumer", "protocol_name": "range"}
    return s.ask(label, SyncGroupRequest, group_id=group, generation_id=generation,
                 member_id=member, assignments=rows, **(fields | more))  # fmt: skip


def beat(
    s: Scene, label: str | None, group: str, generation: int, member: str, **more: Any
) -> Step:
    return s.ask(label, HeartbeatRequest, group_id=group, generation_id=generation,
                 member_id=member, **more)  # fmt: skip


def leave(s: Scene, label: str | None, group: str, *members: str, **more: Any) -> Step:
    at = more.get("at", s.version)
    if has(LeaveGroupRequest, "members", at):
        fields: dict[str, Any] = {"members": [{"member_id": m} for m in members]}
    else:
        fields = {"member_id": members[0] if members else ""}
    return s.ask(label, LeaveGroupRequest, group_id=group, **(fields | more))


def only_member(s: Scene, group: str, **more: Any) -> Steps:
    """A stable group of one; (member id, generation)."""
    yield from coordinator(s, group)
    answer = yield join(s, None, group, at=5, **more)
    if answer.error_code == MEMBER_ID_REQUIRED:
        answer = yield join(s, None, group, answer.member_id, at=5, **more)
    assert answer.error_code == 0, answer
    member = answer.member_id
    synced = yield sync(s, None, group, answer.generation_id, member, {member: b"all"}, at=3)
    assert synced.error_code == 0, synced
    return member, answer.generation_id


def first_join(s: Scene, group: str, **more: Any) -> Steps:
    """The first member's join, twice where an id is given first."""
    answer = yield join(s, "join", group, **more)
    if answer.error_code == MEMBER_ID_REQUIRED:
        answer = yield join(s, "join with the id", group, answer.member_id, **more)
    return answer


@scenario(JoinGroupRequest, versions=(0, 1, 2, 3, 4, 5, 7, 9))
def one_member(s: Scene) -> Steps:
    group = s.name("g")
    yield from coordinator(s, group)
    answer = yield from first_join(s, group)
    member, generation = answer.member_id, answer.generation_id
    yield sync(s, "sync", group, generation, member, {member: b"mine"}, at=3)
    yield beat(s, "beat", group, generation, member, at=3)
    again = yield join(s, "join again, nothing changed", group, member)
    yield beat(s, "beat before the sync", group, again.generation_id, member, at=3)
    yield sync(s, "sync again", group, again.generation_id, member, {member: b"mine"}, at=3)
    yield beat(s, "beat with the old generation", group, generation, member, at=3)
    changed = [{"name": "range", "metadata": b"other"}, {"name": "sticky", "metadata": b"s"}]
    yield join(s, "join with other protocols", group, member, protocols=changed)
    yield leave(s, "leave", group, member, at=2)
    yield beat(s, "beat after leaving", group, generation + 1, member, at=3)


@scenario(JoinGroupRequest)
def refused_joins(s: Scene) -> Steps:
    group = s.name("g")
    yield from coordinator(s, group)
    yield join(s, "an empty group id", "")
    yield join(s, "an unknown member", group, "nobody")
    yield join(s, "a session timeout too short", group, session_timeout_ms=5999)
    yield join(s, "a session timeout too long", group, session_timeout_ms=1_800_001)
    yield join(s, "a negative session timeout", group, session_timeout_ms=-1)
    yield join(s, "no protocol", group, protocols=[])
    yield join(s, "no protocol type", group, protocol_type="")
    yield from only_member(s, group)
    other = {"protocols": [{"name": "sticky", "metadata": b""}]}
    yield join(s, "another protocol than the group's", group, **other)
    yield join(s, "another type than the group's", group, protocol_type="connect")
    yield join(s, "an unknown member of a group", group, "nobody")


@scenario(JoinGroupRequest, versions=(2, 5, 9))
def two_members(s: Scene) -> Steps:
    group = s.name("g")
    yield from coordinator(s, group)
    first = yield from first_join(s, group)
    a = first.member_id
    yield sync(s, "the first syncs", group, first.generation_id, a, {a: b"all"}, at=3)
    b = ""
    if s.version >= 4:
        b = (yield join(s, "the second asks for an id", group)).member_id
    both = [{"name": n, "metadata": n.encode()} for n in ("sticky", "range")]
    yield join_send(s, group, b, "b", protocols=both)
    yield beat(s, "the first is told", group, first.generation_id, a, at=3)._replace(
        until=lambda answer: answer.error_code == 27
    )
    yield sync(s, "the first syncs now", group, first.generation_id, a, {a: b"all"}, at=3)
    one = yield join(s, "the first joins again", group, a)
    two = yield s.receive("the second has joined", "b")
    b, generation = two.member_id, two.generation_id
    yield sync(s, None, group, generation, b, at=3, connection="b", receives=False)
    yield beat(s, "the second beats before the leader's sync", group, generation, b, at=3)
    yield sync(s, "the leader syncs", group, one.generation_id, a, {a: b"for a", b: b"for b"}, at=3)
    yield s.receive("the second has its part", "b")
    yield sync(s, "the second syncs again", group, generation, b, at=3)
    yield beat(s, "the second beats", group, generation, b, at=3)
    yield leave(s, "the first leaves", group, a, at=2)
    yield beat(s, "the second is told", group, generation, b, at=3)
    last = yield join(s, "the second joins again", group, b)
    yield sync(s, "and leads", group, last.generation_id, b, {b: b"all"}, at=3)
    yield leave(s, "the second leaves", group, b, at=2)


@scenario(JoinGroupRequest, versions=(5, 7, 9))
def static_member(s: Scene) -> Steps:
    group = s.name("g")
    who = {"group_instance_id": "instance-1"}
    yield from coordinator(s, group)
    answer = yield join(s, "join", group, **who)
    member, generation = answer.member_id, answer.generation_id
    yield sync(s, "sync", group, generation, member, {member: b"mine"}, at=5, **who)
    yield beat(s, "beat", group, generation, member, at=4, **who)
    again = yield join(s, "come back without an id", group, **who)
    new = again.member_id
    yield sync(s, "sync with the new id", group, again.generation_id, new, {new: b"all"}, at=5,
               **who)  # fmt: skip
    yield beat(s, "the old id is fenced", group, generation, member, at=4, **who)
    yield beat(s, "the new one is not", group, again.generation_id, new, at=4, **who)
    yield beat(s, "without the instance", group, again.generation_id, new, at=4)
    yield beat(s, "another instance", group, again.generation_id, new, at=4,
               group_instance_id="instance-2")  # fmt: skip
    yield join(s, "join with the old id", group, member, **who)
    changed = [{"name": "range", "metadata": b"changed"}]
    yield join(s, "come back with other metadata", group, protocols=changed, **who)
    yield s.ask("leave by instance", LeaveGroupRequest, at=5, group_id=group,
                members=[{"member_id": "", **who}])  # fmt: skip
    yield s.ask("leave by instance again", LeaveGroupRequest, at=5, group_id=group,
                members=[{"member_id": "", **who}])  # fmt: skip


@scenario(SyncGroupRequest, versions=(0, 2, 3, 4, 5))
def syncs(s: Scene) -> Steps:
    group = s.name("g")
    yield sync(s, "an empty group id", "", 1, "m")
    yield sync(s, "an unknown group", s.name("unknown"), 1, "m")
    member, generation = yield from only_member(s, group)
    yield sync(s, "again, when stable", group, generation, member, {member: b"ignored"})
    yield sync(s, "an unknown member", group, generation, "nobody")
    yield sync(s, "an old generation", group, generation - 1, member)
    yield sync(s, "a generation to come", group, generation + 1, member)
    if has(SyncGroupRequest, "protocol_type", s.version):
        yield sync(s, "another protocol type", group, generation, member, protocol_type="connect")
        yield sync(s, "another protocol", group, generation, member, protocol_name="sticky")
        yield sync(s, "no protocol", group, generation, member, protocol_type=None,
                   protocol_name=None)  # fmt: skip
    joined = yield join(s, None, group, member, at=5)
    yield sync(s, "an assignment for a stranger, too", group, joined.generation_id, member,
               {member: b"x", "nobody": b"y"})  # fmt: skip
    joined = yield join(s, None, group, member, at=5)
    yield sync(s, "no assignment", group, joined.generation_id, member)
    if has(SyncGroupRequest, "group_instance_id", s.version):
        yield sync(s, "an instance that is not", group, joined.generation_id, member,
                   group_instance_id="instance-9")  # fmt: skip


@scenario(HeartbeatRequest)
def beats(s: Scene) -> Steps:
    group = s.name("g")
    yield beat(s, "an empty group id", "", 1, "m")
    yield beat(s, "an unknown group", s.name("unknown"), 1, "m")
    member, generation = yield from only_member(s, group)
    yield beat(s, "good", group, generation, member)
    yield beat(s, "an unknown member", group, generation, "nobody")
    yield beat(s, "an empty member", group, generation, "")
    yield beat(s, "an old generation", group, generation - 1, member)
    yield beat(s, "a generation to come", group, generation + 1, member)
    yield beat(s, "generation -1", group, -1, member)
    yield leave(s, None, group, member, at=2)
    yield beat(s, "in an empty group", group, generation, member)


@scenario(LeaveGroupRequest, versions=(0, 2, 3, 5))
def leaves(s: Scene) -> Steps:
    group = s.name("g")
    yield leave(s, "an empty group id", "", "m")
    yield leave(s, "an unknown group", s.name("unknown"), "m")
    member, _ = yield from only_member(s, group)
    yield leave(s, "an unknown member", group, "nobody")
    yield leave(s, "an empty member", group, "")
    if has(LeaveGroupRequest, "members", s.version):
        yield leave(s, "no member", group)
        yield s.ask("an unknown instance", LeaveGroupRequest, group_id=group,
                    members=[{"member_id": "", "group_instance_id": "nobody"}])  # fmt: skip
        yield s.ask("a member with another's instance", LeaveGroupRequest, group_id=group,
                    members=[{"member_id": member, "group_instance_id": "nobody"}])  # fmt: skip
        yield leave(s, "a stranger and the member", group, "nobody", member)
    else:
        yield leave(s, "good", group, member)
    yield leave(s, "again", group, member)
