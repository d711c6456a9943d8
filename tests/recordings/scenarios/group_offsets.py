"""OffsetCommit, OffsetFetch, ListGroups, DescribeGroups."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from tests.recordings.scenario import Scene, Step, Steps, has, scenario
from tests.recordings.scenarios.groups import join, leave, only_member
from tests.recordings.scenarios.prepare import NO_TOPIC, coordinator, topic

Topic = tuple[str, bytes]
MANY = OffsetFetchRequest.OffsetFetchRequestGroup


def commit(
    s: Scene, label: str | None, group: str, *topics: tuple[Topic, dict[int, int]],
    metadata: str | None = "note", generation: int = -1, member: str = "", **more: Any,
) -> Step:  # fmt: skip
    rows = [
        {
            "name": name,
            "topic_id": id_,
            "partitions": [
                {
                    "partition_index": p,
                    "committed_offset": o,
                    "committed_leader_epoch": 3,
                    "committed_metadata": metadata,
                }
                for p, o in offsets.items()
            ],
        }
        for (name, id_), offsets in topics
    ]
    return s.ask(label, OffsetCommitRequest, group_id=group, member_id=member, topics=rows,
                 generation_id_or_member_epoch=generation, **more)  # fmt: skip


def fetch(
    s: Scene, label: str, group: str, *topics: tuple[Topic, list[int]], everything: bool = False,
    **more: Any,
) -> Step:  # fmt: skip
    rows: list[dict[str, Any]] | None = None
    many = has(OffsetFetchRequest, "groups", s.version)
    if not everything:
        rows = [
            {"name": name, "partition_indexes": partitions}
            | ({"topic_id": id_} if many else {})
            for (name, id_), partitions in topics
        ]
    if many:
        one = {"group_id": group, "topics": rows}
        one |= {k: more.pop(k) for k in ("member_id", "member_epoch") if k in more}
        return s.ask(label, OffsetFetchRequest, groups=[one], **more)
    return s.ask(label, OffsetFetchRequest, group_id=group, topics=rows, **more)


@scenario(OffsetCommitRequest, versions=(2, 3, 5, 6, 7, 8, 9, 10))
def commits(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s, partitions=2)
    u = yield from topic(s, "u")
    unknown = (s.name("unknown"), NO_TOPIC)
    yield from coordinator(s, group)
    yield commit(s, "without a group", group, (t, {0: 5}))
    yield commit(s, "two topics", group, (t, {0: 6, 1: 7}), (u, {0: 8}))
    yield commit(s, "an unknown topic", group, (unknown, {0: 5}))
    yield commit(s, "an unknown partition", group, (t, {0: 5, 9: 5}))
    yield commit(s, "a negative partition", group, (t, {-1: 5}))
    yield commit(s, "a negative offset", group, (t, {0: -1}))
    yield commit(s, "no metadata", group, (t, {0: 5}), metadata=None)
    yield commit(s, "4096 characters of metadata", group, (t, {0: 5}), metadata="x" * 4096)
    yield commit(s, "4097 characters of metadata", group, (t, {0: 5}), metadata="x" * 4097)
    yield commit(s, "no topic", group)
    yield commit(s, "no partition", group, (t, {}))
    yield commit(s, "a topic twice", group, (t, {0: 1}), (t, {0: 2}))
    yield commit(s, "an empty group id", "", (t, {0: 5}))
    yield commit(s, "a member of no group", group, (t, {0: 5}), member="nobody", generation=1)
    yield commit(s, "a generation without a member", group, (t, {0: 5}), generation=1)
    fresh = s.name("fresh")
    yield commit(s, "a generation in an unknown group", fresh, (t, {0: 5}), generation=1)
    yield commit(s, "a member in an unknown group", fresh, (t, {0: 5}), member="nobody",
                 generation=1)  # fmt: skip
    if s.version <= 4:
        yield commit(s, "kept for a second", group, (t, {0: 5}), retention_time_ms=1000)


@scenario(OffsetCommitRequest, versions=(2, 5, 7, 10))
def commits_of_members(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s)
    member, generation = yield from only_member(s, group)
    of_member = {"member": member, "generation": generation}
    yield commit(s, "good", group, (t, {0: 1}), **of_member)
    yield commit(s, "an old generation", group, (t, {0: 2}), member=member,
                 generation=generation - 1)  # fmt: skip
    yield commit(s, "a generation to come", group, (t, {0: 2}), member=member,
                 generation=generation + 1)  # fmt: skip
    yield commit(s, "an unknown member", group, (t, {0: 2}), member="nobody",
                 generation=generation)  # fmt: skip
    yield commit(s, "no member", group, (t, {0: 2}))
    if s.version >= 7:
        yield commit(s, "an unknown instance", group, (t, {0: 2}), **of_member,
                     group_instance_id="nobody")  # fmt: skip
    joined = yield join(s, None, group, member, at=5)
    yield commit(s, "before the sync", group, (t, {0: 3}), **of_member)
    yield commit(s, "before the sync, the new generation", group, (t, {0: 3}), member=member,
                 generation=joined.generation_id)  # fmt: skip
    yield leave(s, None, group, member, at=2)
    yield commit(s, "after leaving", group, (t, {0: 4}), **of_member)
    yield commit(s, "without a member, the group is empty", group, (t, {0: 4}))


@scenario(OffsetFetchRequest, versions=(1, 2, 5, 6, 7, 8, 9, 10))
def fetches(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s, partitions=2)
    u = yield from topic(s, "u")
    unknown = (s.name("unknown"), NO_TOPIC)
    yield from coordinator(s, group)
    yield fetch(s, "an unknown group", s.name("unknown"), (t, [0]))
    yield commit(s, None, group, (t, {0: 6}), (u, {0: 8}), at=8)
    yield fetch(s, "one", group, (t, [0]))
    yield fetch(s, "one that was never committed", group, (t, [1]))
    yield fetch(s, "both, and another topic", group, (t, [0, 1]), (u, [0]))
    yield fetch(s, "an unknown topic", group, (unknown, [0]))
    yield fetch(s, "an unknown partition", group, (t, [9, -1]))
    yield fetch(s, "a partition twice", group, (t, [0, 0]))
    yield fetch(s, "no partition", group, (t, []))
    yield fetch(s, "no topic", group)
    yield fetch(s, "an empty group id", "", (t, [0]))
    if s.version >= 2:
        yield fetch(s, "everything", group, everything=True)
        yield fetch(s, "everything of an unknown group", s.name("unknown"), everything=True)
    if s.version >= 7:
        yield fetch(s, "stable", group, (t, [0]), require_stable=True)
    if s.version >= 8:
        rows = [{"group_id": g, "topics": None} for g in (group, s.name("unknown"), group)]
        yield s.ask("three groups", OffsetFetchRequest, groups=rows)
        yield s.ask("no group", OffsetFetchRequest, groups=[])
    if s.version >= 9:
        yield fetch(s, "a member of no group", group, (t, [0]), member_id="nobody", member_epoch=1)
        yield fetch(s, "a member epoch alone", group, (t, [0]), member_epoch=1)
    member, generation = yield from only_member(s, group)
    yield fetch(s, "of a group with members", group, (t, [0]))
    if s.version >= 9:
        yield fetch(s, "as a member", group, (t, [0]), member_id=member, member_epoch=generation)


@scenario(ListGroupsRequest, versions=(0, 2, 3, 4, 5))
def lists(s: Scene) -> Steps:
    stable, empty, simple = s.name("stable"), s.name("empty"), s.name("simple")
    t = yield from topic(s)
    yield from only_member(s, stable)
    member, _ = yield from only_member(s, empty, protocol_type="other")
    yield leave(s, None, empty, member, at=2)
    yield commit(s, None, simple, (t, {0: 1}), at=8)
    mine = {"only": s.prefix}
    yield s.ask("all", ListGroupsRequest, **mine)
    if s.version >= 4:
        for states in (["Stable"], ["Empty"], ["stable", "EMPTY"], ["Dead"], ["Nonsense"], [""]):
            yield s.ask(f"in states {states}", ListGroupsRequest, states_filter=states, **mine)
    if s.version >= 5:
        for types in (["classic"], ["Classic"], ["consumer"], ["nonsense"]):
            yield s.ask(f"of types {types}", ListGroupsRequest, types_filter=types, **mine)
        yield s.ask("of both", ListGroupsRequest, types_filter=["classic"],
                    states_filter=["Empty"], **mine)  # fmt: skip


@scenario(DescribeGroupsRequest, versions=(0, 2, 3, 4, 5, 6))
def describes(s: Scene) -> Steps:
    stable, empty = s.name("stable"), s.name("empty")
    t = yield from topic(s)

    def look(label: str, *groups: str, **more: Any) -> Step:
        return s.ask(label, DescribeGroupsRequest, groups=list(groups), **more)

    member, _ = yield from only_member(s, stable)
    gone, _ = yield from only_member(s, empty)
    yield leave(s, None, empty, gone, at=2)
    yield look("a stable one", stable)
    yield look("an empty one", empty)
    yield look("an unknown one", s.name("unknown"))
    yield look("an empty id", "")
    yield look("two", stable, empty)
    yield look("one twice", stable, stable)
    yield look("none")
    yield look("what may be done", stable, include_authorized_operations=True)
    yield join(s, None, stable, member, at=5)
    yield look("before the sync", stable)
    simple = s.name("simple")
    yield commit(s, None, simple, (t, {0: 1}), at=8)
    yield look("one of offsets only", simple)
