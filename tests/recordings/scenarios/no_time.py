"""Requests that leave no time: what is done nevertheless."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.create_partitions import CreatePartitionsRequest
from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Steps, has, scenario
from tests.recordings.scenarios.prepare import records, topic
from tests.recordings.scenarios.produce import everything, produce


@scenario(ProduceRequest)
def produce_in_no_time(s: Scene) -> Steps:
    t = yield from topic(s)
    yield produce(s, "acks all", t, batch([b"all"]), timeout_ms=0)
    yield produce(s, "acks 1", t, batch([b"one"]), acks=1, timeout_ms=0)
    yield produce(s, "acks all, less than nothing", t, batch([b"less"]), timeout_ms=-1)
    yield produce(s, "acks 1, less than nothing", t, batch([b"less"]), acks=1, timeout_ms=-1)
    yield produce(s, "acks 0", t, batch([b"none"]), acks=0, timeout_ms=0)
    yield produce(s, "a wrong crc", t, batch(crc_error=1), timeout_ms=0)
    yield everything(s, t[0])


@scenario(DeleteRecordsRequest)
def delete_records_in_no_time(s: Scene) -> Steps:
    t = yield from topic(s)
    yield from records(s, t[0], batch([b"a", b"b"]), batch([b"c"]))
    for label, offset, timeout_ms in (("no time", 1, 0), ("less than that", 2, -1)):
        partitions = [{"partition_index": 0, "offset": offset}]
        yield s.ask(label, DeleteRecordsRequest, timeout_ms=timeout_ms,
                    topics=[{"name": t[0], "partitions": partitions}])  # fmt: skip


@scenario(DeleteTopicsRequest)
def delete_topics_in_no_time(s: Scene) -> Steps:
    for label, timeout_ms in (("no time", 0), ("less than that", -1)):
        name, _ = yield from topic(s, f"t{timeout_ms}")
        fields: dict[str, Any] = {"topic_names": [name]}
        if has(DeleteTopicsRequest, "topics", s.version):
            fields = {"topics": [{"name": name}]}
        yield s.ask(label, DeleteTopicsRequest, timeout_ms=timeout_ms, **fields)
        yield s.ask(f"{label}, again", DeleteTopicsRequest, timeout_ms=5000, **fields)


@scenario(CreatePartitionsRequest)
def create_partitions_in_no_time(s: Scene) -> Steps:
    for label, timeout_ms in (("no time", 0), ("less than that", -1)):
        name, _ = yield from topic(s, f"t{timeout_ms}")
        topics = [{"name": name, "count": 3, "assignments": None}]
        yield s.ask(label, CreatePartitionsRequest, timeout_ms=timeout_ms, topics=topics)
        yield s.ask(f"{label}, again", CreatePartitionsRequest, timeout_ms=5000, topics=topics)
