"""Steps that scenarios begin with: a topic that is there, records in it, a coordinator that is up.

Each is used as `value = yield from topic(s, ...)`; nothing of it is recorded. Their versions are
fixed, and old enough for either way of naming a topic.
"""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.protocol.schema import Struct
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Steps, has

LATEST, EARLIEST = -1, -2
NO_TOPIC = bytes(range(1, 17))  # a topic id that no topic has
COORDINATOR_IS_COMING = (14, 15, 16)


def topic(
    s: Scene, word: str = "t", *, partitions: int = 1, configs: dict[str, str] | None = None
) -> Steps:
    """Create a topic that keeps its records of 2020, wait until it serves; (name, id)."""
    name = s.name(word)
    settings = {"retention.ms": "-1"} | (configs or {})
    answer = yield s.ask(
        None, CreateTopicsRequest, at=7,
        topics=[
            {
                "name": name,
                "num_partitions": partitions,
                "replication_factor": 1,
                "configs": [{"name": k, "value": v} for k, v in settings.items()],
            }
        ],
    )  # fmt: skip
    created = answer.topics[0]
    assert created.error_code == 0, f"{name} was not created: {created.error_code}"
    yield s.ask(
        None, ListOffsetsRequest, at=5, replica_id=-1,
        topics=[
            {
                "name": name,
                "partitions": [
                    {"partition_index": p, "timestamp": LATEST} for p in range(partitions)
                ],
            }
        ],
        until=lambda a: all(not p.error_code for t in a.topics for p in t.partitions),
    )  # fmt: skip
    return name, created.topic_id


def records(s: Scene, name: str, *batches: bytes, partition: int = 0) -> Steps:
    """Produce each batch on its own."""
    for one in batches or (batch(),):
        answer = yield s.ask(
            None, ProduceRequest, at=9, acks=-1, timeout_ms=5000,
            topic_data=[
                {"name": name, "partition_data": [{"index": partition, "records": one}]}
            ],
        )  # fmt: skip
        error = answer.responses[0].partition_responses[0].error_code
        assert error == 0, f"producing to {name}: {error}"


def coordinator(s: Scene, group: str) -> Steps:
    """Wait until the group's coordinator is there and has loaded."""
    yield s.ask(
        None, FindCoordinatorRequest, at=2, key=group, until=lambda a: a.error_code == 0
    )
    yield s.ask(
        None, DescribeGroupsRequest, at=1, groups=[group],
        until=lambda a: a.groups[0].error_code not in COORDINATOR_IS_COMING,
    )  # fmt: skip


def called(item: type[Struct], s: Scene, name: str, id_: bytes) -> Any:
    """The field that names a topic in `item` at the scenario's version: by name or by id."""
    if "topic_id" in item.FIELDS and has(item, "topic_id", s.version):
        return {"topic_id": id_}
    return {"name" if "name" in item.FIELDS else "topic": name}
