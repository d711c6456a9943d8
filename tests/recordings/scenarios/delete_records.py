"""DeleteRecords."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import EARLIEST, records, topic


def delete(s: Scene, label: str, *topics: tuple[str, dict[int, int]]) -> Step:
    return s.ask(
        label, DeleteRecordsRequest, timeout_ms=5000,
        topics=[
            {
                "name": name,
                "partitions": [{"partition_index": p, "offset": o} for p, o in offsets.items()],
            }
            for name, offsets in topics
        ],
    )  # fmt: skip


def earliest(s: Scene, label: str, name: str) -> Any:
    return s.ask(
        label, ListOffsetsRequest, at=5, replica_id=-1,
        topics=[{"name": name, "partitions": [{"partition_index": 0, "timestamp": EARLIEST}]}],
    )  # fmt: skip


@scenario(DeleteRecordsRequest)
def offsets(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    yield from records(s, name, batch([b"a", b"b", b"c"]), batch([b"d", b"e"]))
    yield delete(s, "inside a batch", (name, {0: 1}))
    yield earliest(s, "it begins there", name)
    yield delete(s, "below the log start", (name, {0: 0}))
    yield delete(s, "beyond the high watermark", (name, {0: 6}))
    yield delete(s, "a negative offset", (name, {0: -2}))
    yield delete(s, "everything", (name, {0: -1}))
    yield earliest(s, "it begins at the end", name)
    yield delete(s, "everything again", (name, {0: 5}))


@scenario(DeleteRecordsRequest)
def wrong_places(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    yield delete(s, "an unknown topic", (s.name("unknown"), {0: 0}))
    yield delete(s, "an unknown partition", (name, {0: 0, 7: 0}))
    yield delete(s, "a negative partition", (name, {-1: 0}))
    yield delete(s, "no topic")
    yield delete(s, "no partition", (name, {}))
    yield delete(s, "a topic twice", (name, {0: 0}), (name, {0: 0}))


@scenario(DeleteRecordsRequest)
def compacted(s: Scene) -> Steps:
    name, _ = yield from topic(s, configs={"cleanup.policy": "compact"})
    yield delete(s, "a compacted topic", (name, {0: 0}))
    both, _ = yield from topic(s, "both", configs={"cleanup.policy": "compact,delete"})
    yield delete(s, "a topic compacted and deleted", (both, {0: 0}))
