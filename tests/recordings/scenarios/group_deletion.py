"""DeleteGroups, OffsetDelete."""
from __future__ import annotations

import struct
from typing import Any

from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.group_offsets import commit
from tests.recordings.scenarios.groups import leave, only_member
from tests.recordings.scenarios.prepare import coordinator, topic


def offsets(s: Scene, label: str, group: str) -> Step:
    """All that is committed."""
    groups = [{"group_id": group, "topics": None}]
    return s.ask(label, OffsetFetchRequest, at=8, groups=groups)


def subscription(*topics: str) -> bytes:
    """ConsumerProtocolSubscription, version 0."""
    names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


@scenario(DeleteGroupsRequest)
def delete(s: Scene) -> Steps:
    def gone(label: str, *groups: str) -> Step:
        return s.ask(label, DeleteGroupsRequest, groups_names=list(groups))

    stable, empty, simple = s.name("stable"), s.name("empty"), s.name("simple")
    t = yield from topic(s)
    member, _ = yield from only_member(s, stable)
    left, _ = yield from only_member(s, empty)
    yield leave(s, None, empty, left, at=2)
    yield commit(s, None, empty, (t, {0: 1}), at=8)
    yield commit(s, None, simple, (t, {0: 1}), at=8)
    yield gone("with a member", stable)
    yield gone("empty", empty)
    yield gone("again", empty)
    yield offsets(s, "its offsets", empty)
    yield s.ask("it is dead", DescribeGroupsRequest, at=5, groups=[empty])
    yield gone("of offsets only", simple)
    yield offsets(s, "its offsets, too", simple)
    yield gone("an unknown one", s.name("unknown"))
    yield commit(s, None, "", (t, {0: 1}), at=8)
    yield gone("an empty id", "")
    yield gone("an empty id again", "")
    yield gone("none")
    yield commit(s, None, empty, (t, {0: 1}), at=8)
    yield gone("one of three", empty, s.name("unknown"), stable)
    yield commit(s, None, simple, (t, {0: 1}), at=8)
    yield gone("one twice", simple, simple)
    yield leave(s, None, stable, member, at=2)
    yield gone("its member has left", stable)


@scenario(OffsetDeleteRequest)
def delete_offsets(s: Scene) -> Steps:
    def gone(label: str, group: str, *topics: tuple[str, list[int]]) -> Step:
        rows: list[dict[str, Any]] = [
            {"name": name, "partitions": [{"partition_index": p} for p in numbers]}
            for name, numbers in topics
        ]
        return s.ask(label, OffsetDeleteRequest, group_id=group, topics=rows)

    t = yield from topic(s, partitions=3)
    u = yield from topic(s, "u")
    simple, reader, other = s.name("simple"), s.name("reader"), s.name("other")
    yield from coordinator(s, simple)
    everything = (t, {0: 1, 1: 2, 2: 3}), (u, {0: 4})
    yield commit(s, None, simple, *everything, at=8)
    yield gone("one", simple, (t[0], [0]))
    yield gone("one that has none now", simple, (t[0], [0]))
    yield gone("two topics", simple, (t[0], [1]), (u[0], [0]))
    yield offsets(s, "one is left", simple)
    yield gone("an unknown topic", simple, (s.name("unknown"), [0]))
    yield gone("an unknown partition", simple, (t[0], [2, 9]))
    yield gone("a negative partition", simple, (t[0], [-1]))
    yield gone("no partition", simple, (t[0], []))
    yield gone("no topic", simple)
    yield gone("an unknown group", s.name("unknown"), (t[0], [0]))
    yield gone("an empty group id", "", (t[0], [0]))
    protocols = [{"name": "range", "metadata": subscription(t[0])}]
    member, generation = yield from only_member(s, reader, protocols=protocols)
    yield commit(s, None, reader, *everything, at=8, member=member, generation=generation)
    yield gone("a topic that is read", reader, (t[0], [0]))
    yield gone("one that is not", reader, (u[0], [0]))
    yield gone("both", reader, (t[0], [1]), (u[0], [0]))
    yield offsets(s, "what is read is left", reader)
    yield from only_member(s, other, protocol_type="other")
    yield gone("a group that is no consumer's", other, (t[0], [0]))
    yield leave(s, None, reader, member, at=2)
    yield gone("it reads nothing any more", reader, (t[0], [0]))
