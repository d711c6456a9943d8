"""ListOffsets: special timestamps, times of records, leader epochs."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from tests.recordings.batches import T0, batch
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import records, topic

ALL = (1, 2, 4, 6, 7, 8, 9, 10, 11)


def list_(s: Scene, label: str, name: str, *partitions: Any, **more: Any) -> Step:
    """A partition is its fields, or the timestamp asked of partition 0."""
    full = [{"timestamp": p} if isinstance(p, int) else p for p in partitions]
    more = {"replica_id": -1, "timeout_ms": 1000} | more
    return s.ask(label, ListOffsetsRequest, topics=[{"name": name, "partitions": full}], **more)


@scenario(ListOffsetsRequest, versions=ALL)
def timestamps(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    for special in (-1, -2, 0):
        yield list_(s, f"empty, {special}", name, special)
    yield from records(
        s, name,
        batch([b"a", b"b"], timestamps=[T0, T0 + 10]),
        batch([b"c", b"d"], timestamps=[T0 + 50, T0 + 30], codec="gzip"),
        batch([b"e"], timestamps=[T0 + 40]),
    )  # fmt: skip
    for special in (-1, -2, -3, -4, -5, -6, -7, -100):
        yield list_(s, f"special {special}", name, special)
    for time in (0, T0 - 1, T0, T0 + 1, T0 + 10, T0 + 11, T0 + 31, T0 + 50, T0 + 51, 2**62):
        yield list_(s, f"at {time - T0} ms" if time < 2**61 else "at the end", name, time)


@scenario(ListOffsetsRequest)
def wrong_places(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    yield list_(s, "an unknown topic", s.name("unknown"), -1)
    yield list_(s, "a bad name", "bad name!", -1)
    yield list_(s, "an unknown partition", name, {"partition_index": 3, "timestamp": -1})
    yield list_(s, "a negative partition", name, {"partition_index": -3, "timestamp": -1})
    yield list_(s, "one of two", name, -1, {"partition_index": 3, "timestamp": -1})
    yield list_(s, "a partition twice", name, -1, -2)
    yield list_(s, "no partition", name)
    yield s.ask("no topic", ListOffsetsRequest, replica_id=-1, topics=[])


@scenario(ListOffsetsRequest)
def epochs_and_isolation(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    yield from records(s, name)
    for epoch in (0, 1, -1):
        yield list_(s, f"leader epoch {epoch}", name,
                    {"timestamp": -1, "current_leader_epoch": epoch})  # fmt: skip
    for level in (0, 1, 2):
        for timestamp in (-1, -2, T0):
            yield list_(s, f"level {level}, {'a time' if timestamp > 0 else timestamp}", name,
                        timestamp, isolation_level=level)  # fmt: skip
    yield list_(s, "as a debugger", name, -1, replica_id=-2)
    yield list_(s, "as replica 9", name, -1, replica_id=9)
