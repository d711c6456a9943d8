"""Fetch and ListOffsets around transactions: the last stable offset and what was aborted."""
from __future__ import annotations

from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from tests.recordings.batches import T0, batch
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.fetch import fetch, fetch_topics
from tests.recordings.scenarios.prepare import records
from tests.recordings.scenarios.transactions import Producer, data, end, producer, settled, topic

READ_UNCOMMITTED, READ_COMMITTED = 0, 1
LATE = 12  # the version of Produce that adds its partition itself


def write(s: Scene, t: tuple[str, bytes], who: Producer, sequence: int, *values: bytes) -> Step:
    """Whatever the scenario's version is."""
    rows = [{"index": 0, "records": data(who, sequence, *values)}]
    return s.ask(
        None, ProduceRequest, at=LATE, acks=-1, timeout_ms=5000, transactional_id=who.id,
        topic_data=[{"name": t[0], "partition_data": rows}],
        until=lambda a: a.responses[0].partition_responses[0].error_code != 51,
    )  # fmt: skip


def finish(s: Scene, who: Producer, *, commit: bool) -> Steps:
    answer = yield end(s, None, who, commit=commit, at=5)
    assert answer.error_code == 0, answer
    yield settled(s, None, who)
    return who._replace(epoch=answer.producer_epoch)


def both(s: Scene, label: str, t: tuple[str, bytes], offset: int = 0) -> Steps:
    """Read at either level."""
    yield fetch(s, f"{label}: committed", t, offset, isolation_level=READ_COMMITTED)
    yield fetch(s, f"{label}: all", t, offset, isolation_level=READ_UNCOMMITTED)


@scenario(FetchRequest, versions=(4, 11, 12, 13, 18))
def of_transactions(s: Scene) -> Steps:
    t = yield from topic(s)
    one = yield from producer(s, "one")
    two = yield from producer(s, "two")
    yield write(s, t, one, 0, b"one, committed")
    yield from both(s, "one is open", t)
    one = yield from finish(s, one, commit=True)
    yield from both(s, "one is committed", t)
    yield write(s, t, one, 0, b"one, aborted", b"more")
    yield from records(s, t[0], batch([b"not transactional"]))
    yield write(s, t, two, 0, b"two, committed")
    yield from both(s, "two are open", t, 2)
    two = yield from finish(s, two, commit=True)
    yield from both(s, "the earlier is still open", t, 2)
    one = yield from finish(s, one, commit=False)
    yield from both(s, "one is aborted", t)
    yield from both(s, "from within the aborted batch", t, 3)
    yield from both(s, "behind the aborted batch", t, 4)
    yield from both(s, "from the marker", t, 7)
    yield from both(s, "at the end", t, 8)
    yield write(s, t, two, 0, b"two, aborted")
    yield write(s, t, one, 0, b"one, aborted too")
    two = yield from finish(s, two, commit=False)
    one = yield from finish(s, one, commit=False)
    yield from both(s, "three are aborted", t)
    yield from both(s, "the last two", t, 8)
    size = {"partition_max_bytes": 1}
    for offset in (0, 2, 8, 9, 10):
        yield fetch(s, f"one batch from {offset}", t, {"fetch_offset": offset} | size,
                    isolation_level=READ_COMMITTED)  # fmt: skip
    yield write(s, t, one, 0, b"one, open")
    yield from both(s, "at the last stable offset", t, 12)
    yield from both(s, "behind it", t, 13)
    yield from both(s, "beyond the end", t, 99)


@scenario(FetchRequest, versions=(4, 12, 18))
def waits_for_an_end(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield from producer(s)
    yield write(s, t, who, 0, b"a")
    yield fetch(s, None, t, 0, isolation_level=READ_COMMITTED, max_wait_ms=10_000,
                connection="reader", receives=False)  # fmt: skip
    yield fetch(s, "all of it is there", t, 0)
    who = yield from finish(s, who, commit=True)
    yield s.receive("it is committed", "reader")
    yield fetch(s, None, t, 2, isolation_level=READ_COMMITTED, max_wait_ms=10_000,
                connection="reader", receives=False)  # fmt: skip
    yield write(s, t, who, 0, b"b")
    who = yield from finish(s, who, commit=False)
    yield s.receive("it is aborted", "reader")


@scenario(FetchRequest, versions=(7, 12, 18))
def sessions_and_transactions(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield from producer(s)
    yield write(s, t, who, 0, b"a")
    committed = {"isolation_level": READ_COMMITTED, "max_wait_ms": 0}
    opened = yield fetch(s, "open one", t, 0, session_epoch=0, **committed)
    session = {"session_id": opened.session_id} | committed
    yield fetch_topics(s, "nothing is new", [], session_epoch=1, **session)
    yield from records(s, t[0], batch([b"behind it"]))
    yield fetch_topics(s, "the high watermark is new", [], session_epoch=2, **session)
    yield from finish(s, who, commit=False)
    yield fetch_topics(s, "it is aborted", [], session_epoch=3, **session)


@scenario(ListOffsetsRequest, versions=(2, 5, 7, 9, 11))
def offsets_of_transactions(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield from producer(s)

    def look(label: str, timestamp: int) -> Steps:
        for level in (READ_COMMITTED, READ_UNCOMMITTED):
            rows = [{"partition_index": 0, "timestamp": timestamp}]
            yield s.ask(f"{label} {timestamp}, level {level}", ListOffsetsRequest, replica_id=-1,
                        isolation_level=level, topics=[{"name": t[0], "partitions": rows}])

    def all_(label: str) -> Steps:
        for timestamp in (-1, -2, T0, T0 + 1):
            yield from look(label, timestamp)
        if s.version >= 7:
            yield from look(label, -3)

    yield from records(s, t[0])
    yield write(s, t, who, 0, b"a", b"b")
    yield from all_("open")
    who = yield from finish(s, who, commit=True)
    yield from all_("committed")
    yield write(s, t, who, 0, b"c")
    who = yield from finish(s, who, commit=False)
    yield from all_("aborted")
