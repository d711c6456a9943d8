"""Fetch: bounds, isolation, limits, sessions, leader epochs."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.schema import is_in
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import NO_TOPIC, called, records, topic

Topic = FetchRequest.FetchTopic
Partition = Topic.FetchPartition
Forgotten = FetchRequest.ForgottenTopic
MANY = 1 << 20


def fetch(
    s: Scene, label: str | None, topic_: tuple[str, bytes], *partitions: dict[str, Any] | int,
    **more: Any,
) -> Step:  # fmt: skip
    """One topic; a partition is its fields, or the offset in partition 0."""
    full = [
        {"partition": 0, "partition_max_bytes": MANY, "fetch_offset": 0}
        | ({"fetch_offset": p} if isinstance(p, int) else p)
        for p in partitions
    ]
    topics = [{**called(Topic, s, *topic_), "partitions": full}]
    return fetch_topics(s, label, topics, **more)


def fetch_topics(s: Scene, label: str | None, topics: list[Any], **more: Any) -> Step:
    more = {"max_wait_ms": 50, "min_bytes": 1, "max_bytes": MANY} | more
    if is_in(s.version, FetchRequest.FIELDS["replica_id"].on_wire):
        more.setdefault("replica_id", -1)
    return s.ask(label, FetchRequest, topics=topics, **more)


@scenario(FetchRequest)
def offsets(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    yield fetch(s, "an empty partition", t, 0)
    yield fetch(s, "an empty partition, offset 1", t, 1)
    yield from records(s, t[0], batch([b"a", b"b", b"c"]), batch([b"d"], codec="gzip"))
    yield fetch(s, "from the start", t, 0)
    yield fetch(s, "inside a batch", t, 2)
    yield fetch(s, "the last batch", t, 3)
    yield fetch(s, "the end", t, 4)
    yield fetch(s, "beyond the end", t, 5)
    yield fetch(s, "a negative offset", t, -1)
    yield fetch(s, "a very negative offset", t, -2)
    yield fetch(s, "two partitions", t, 0, {"partition": 1})
    yield fetch(s, "a partition twice", t, 0, 3)
    yield fetch(s, "no wait", t, 4, max_wait_ms=0)
    yield fetch(s, "more bytes than there are", t, 0, min_bytes=MANY)
    yield fetch(s, "a negative wait", t, 4, max_wait_ms=-1)
    yield fetch(s, "no bytes wanted", t, 4, min_bytes=0, max_wait_ms=10_000)


@scenario(FetchRequest)
def nowhere(s: Scene) -> Steps:
    t = yield from topic(s)
    yield fetch(s, "an unknown topic", (s.name("unknown"), NO_TOPIC), 0)
    yield fetch(s, "no name, the zero id", ("", bytes(16)), 0)
    yield fetch(s, "a bad name", ("bad name!", NO_TOPIC), 0)
    yield fetch(s, "an unknown partition", t, {"partition": 4})
    yield fetch(s, "a negative partition", t, {"partition": -1})
    yield fetch(s, "one known of two", t, 0, {"partition": 3})
    yield fetch(s, "no partition", t)
    yield fetch_topics(s, "no topic", [])
    known = {**called(Topic, s, *t), "partitions": [{"partition_max_bytes": MANY}]}
    unknown = {**called(Topic, s, "u", NO_TOPIC), "partitions": [{"partition_max_bytes": MANY}]}
    yield fetch_topics(s, "one topic known of two", [unknown, known])
    yield fetch_topics(s, "a topic twice", [known, known])


@scenario(FetchRequest)
def isolation(s: Scene) -> Steps:
    t = yield from topic(s)
    yield from records(s, t[0])
    for level in (0, 1):
        yield fetch(s, f"level {level}", t, 0, isolation_level=level)
        yield fetch(s, f"level {level} at the end", t, 1, isolation_level=level)
        yield fetch(s, f"level {level} beyond the end", t, 2, isolation_level=level)
        yield fetch(s, f"level {level}, unknown partition", t, {"partition": 9},
                    isolation_level=level)  # fmt: skip
    yield fetch(s, "level 2", t, 0, isolation_level=2)
    yield fetch(s, "level -1", t, 0, isolation_level=-1)


@scenario(FetchRequest)
def limits(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    size = len(batch([b"x" * 1000]))
    yield from records(s, t[0], *(batch([bytes([97 + i]) * 1000]) for i in range(4)))
    yield from records(s, t[0], *(batch([b"z" * 1000]) for i in range(2)), partition=1)
    both = ({}, {"partition": 1})
    yield fetch(s, "one byte a partition", t, {"partition_max_bytes": 1})
    yield fetch(s, "no byte a partition", t, {"partition_max_bytes": 0})
    yield fetch(s, "a negative limit a partition", t, {"partition_max_bytes": -1})
    yield fetch(s, "two batches a partition", t, {"partition_max_bytes": 2 * size})
    yield fetch(s, "two and a half", t, {"partition_max_bytes": 2 * size + 500})
    yield fetch(s, "one byte in all", t, *both, max_bytes=1)
    yield fetch(s, "no byte in all", t, *both, max_bytes=0)
    yield fetch(s, "a negative limit in all", t, *both, max_bytes=-1)
    yield fetch(s, "two batches in all", t, *both, max_bytes=2 * size)
    yield fetch(s, "five batches in all", t, *both, max_bytes=5 * size)
    yield fetch(s, "the other one first", t, *reversed(both), max_bytes=1)
    yield fetch(s, "no limit a partition", t, {"partition_max_bytes": 2**31 - 1})


@scenario(FetchRequest)
def leader_epochs(s: Scene) -> Steps:
    t = yield from topic(s)
    yield from records(s, t[0])
    yield fetch(s, "the current leader epoch", t, {"current_leader_epoch": 0})
    yield fetch(s, "a later leader epoch", t, {"current_leader_epoch": 1})
    yield fetch(s, "no leader epoch", t, {"current_leader_epoch": -1})
    yield fetch(s, "another number below", t, {"current_leader_epoch": -5})
    yield fetch(s, "last fetched epoch 0", t, {"fetch_offset": 1, "last_fetched_epoch": 0})
    yield fetch(s, "last fetched epoch 0, beyond", t, {"fetch_offset": 3, "last_fetched_epoch": 0})
    yield fetch(s, "last fetched epoch 4", t, {"fetch_offset": 1, "last_fetched_epoch": 4})


@scenario(FetchRequest)
def truncated(s: Scene) -> Steps:
    from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest

    t = yield from topic(s)
    yield from records(s, t[0], batch([b"a", b"b"]), batch([b"c"]))
    yield s.ask(
        None, DeleteRecordsRequest, at=2, timeout_ms=5000,
        topics=[{"name": t[0], "partitions": [{"partition_index": 0, "offset": 1}]}],
    )  # fmt: skip
    yield fetch(s, "below the log start", t, 0)
    yield fetch(s, "at the log start, inside a batch", t, 1)


def sessions_exist(version: int) -> bool:
    return is_in(version, FetchRequest.FIELDS["session_id"].on_wire)


@scenario(FetchRequest, versions=(7, 12, 18))
def sessions(s: Scene) -> Steps:
    assert sessions_exist(s.version)
    t = yield from topic(s, partitions=2)
    yield from records(s, t[0])
    whole = ({}, {"partition": 1})
    opened = yield fetch(s, "open one", t, *whole, session_epoch=0)
    id_ = opened.session_id
    quick = {"max_wait_ms": 0}
    yield fetch_topics(s, "the same again", [], session_id=id_, session_epoch=1, **quick)
    yield fetch(s, "move on", t, 1, session_id=id_, session_epoch=2, **quick)
    yield fetch_topics(s, "nothing is new", [], session_id=id_, session_epoch=3, **quick)
    yield from records(s, t[0], batch(), partition=1)
    yield fetch_topics(s, "news of partition 1", [], session_id=id_, session_epoch=4, **quick)
    forgotten = [{**called(Forgotten, s, *t), "partitions": [1]}]
    yield fetch_topics(
        s, "forget partition 1", [], session_id=id_, session_epoch=5, **quick,
        forgotten_topics_data=forgotten,
    )  # fmt: skip
    yield fetch_topics(s, "an epoch again", [], session_id=id_, session_epoch=5, **quick)
    yield fetch_topics(s, "an epoch left out", [], session_id=id_, session_epoch=9, **quick)
    yield fetch(s, "an unknown partition joins", t, {"partition": 8}, session_id=id_,
                session_epoch=6, **quick)  # fmt: skip
    yield fetch_topics(s, "it is told again", [], session_id=id_, session_epoch=7, **quick)
    yield fetch_topics(s, "an unknown session", [], session_id=id_ ^ 1, session_epoch=1, **quick)
    yield fetch_topics(s, "no session, an epoch", [], session_id=0, session_epoch=1, **quick)
    yield fetch(s, "close it", t, 0, session_id=id_, session_epoch=-1, **quick)
    yield fetch_topics(s, "it is closed", [], session_id=id_, session_epoch=8, **quick)
    yield fetch(s, "no session", t, 0, session_id=0, session_epoch=-1)
    yield fetch(s, "an unknown one, anew", t, 0, session_id=id_, session_epoch=0)
    yield fetch_topics(s, "open an empty one", [], session_id=0, session_epoch=0, **quick)


@scenario(FetchRequest, versions=(12, 13, 18))
def unknown_in_a_session(s: Scene) -> Steps:
    opened = yield fetch(s, "open with an unknown topic", (s.name("u"), NO_TOPIC), 0,
                         session_epoch=0, max_wait_ms=0)  # fmt: skip
    yield fetch_topics(s, "and again", [], session_id=opened.session_id, session_epoch=1,
                       max_wait_ms=0)  # fmt: skip


@scenario(FetchRequest, versions=(12,))
def names_then_ids(s: Scene) -> Steps:
    t = yield from topic(s)
    opened = yield fetch(s, "open by name", t, 0, session_epoch=0)
    s.version = 13
    yield fetch(s, "go on by id", t, 0, session_id=opened.session_id, session_epoch=1, at=13)


@scenario(FetchRequest)
def as_a_replica(s: Scene) -> Steps:
    t = yield from topic(s)
    yield from records(s, t[0])
    by_field = is_in(s.version, FetchRequest.FIELDS["replica_id"].on_wire)
    for replica in (99, -3):
        field = {"replica_id": replica} if by_field else {
            "replica_state": {"replica_id": replica, "replica_epoch": -1}
        }  # fmt: skip
        yield fetch(s, f"replica {replica}", t, 0, **field)
