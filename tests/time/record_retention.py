"""Have Apache Kafka retain the cases of retention_cases.py.

    python -m tests.time.record_retention
"""
from __future__ import annotations

import json
import os
import pathlib
import re
import tempfile
import time
from collections.abc import Callable
from typing import Any

from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.protocol.schema import Struct
from tests.apache_kafka.broker import KafkaNode
from tests.recordings.connection import Connection
from tests.recordings.scenario import make
from tests.time.retention_cases import (
    CASES,
    Case,
    batch_of,
    growing,
    listing,
    outcome,
    retaining,
)

RECORDED = pathlib.Path(__file__).with_name("kafka_retention.json")
SETTINGS = {
    "log.retention.check.interval.ms": "200",
    "log.initial.task.delay.ms": "200",
    "log.cleaner.backoff.ms": "200",
    "log.segment.delete.delay.ms": "3600000",
}
QUIET_S = 1.5  # nothing has changed for so long: nothing will
TOPIC = 2


class Client:
    """Asks one broker, and waits."""

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self.connection = Connection(host, int(port))

    def ask(self, request: type[Struct], version: int, /, **fields: Any) -> Any:
        self.connection.send(make(request, fields), version, client_id="time", answered=True)
        return self.connection.receive(20)[0]

    def offset(self, name: str, timestamp: int) -> tuple[int, int]:
        """(error, offset)"""
        answer = self.ask(
            ListOffsetsRequest, 5, replica_id=-1,
            topics=[
                {"name": name, "partitions": [{"partition_index": 0, "timestamp": timestamp}]}
            ],
        )  # fmt: skip
        one = answer.topics[0].partitions[0]
        return one.error_code, one.offset


def name_of(case: Case) -> str:
    return re.sub("[^a-z0-9]+", "-", case.name)


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def settled(directory: pathlib.Path) -> list[str]:
    """The files once they stay as they are."""
    names, since = listing(os.listdir(directory)), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        time.sleep(0.05)
        now = listing(os.listdir(directory))
        if now != names:
            names, since = now, time.monotonic()
    return names


def grow(client: Client, case: Case, directory: pathlib.Path) -> list[str]:
    """Make the topic and write its batches; the files."""
    name, configs = name_of(case), growing(case)
    made = client.ask(
        CreateTopicsRequest, 7, timeout_ms=5000,
        topics=[
            {
                "name": name, "num_partitions": 1, "replication_factor": 1,
                "configs": [{"name": k, "value": v} for k, v in configs.items()],
            }
        ],
    )  # fmt: skip
    assert made.topics[0].error_code == 0, made.topics[0].error_message
    until(lambda: client.offset(name, -1)[0] == 0, name)
    for number in range(len(case.batches)):
        answer = client.ask(
            ProduceRequest, 9, acks=-1, timeout_ms=5000,
            topic_data=[
                {
                    "name": name,
                    "partition_data": [
                        {"index": 0, "records": batch_of(case, number, int(time.time() * 1000))}
                    ],
                }
            ],
        )  # fmt: skip
        said = answer.responses[0].partition_responses[0]
        assert said.error_code == 0, said.error_message
    return listing(os.listdir(directory))


def change(client: Client, case: Case) -> None:
    """Configs, then DeleteRecords, as the case says."""
    name = name_of(case)
    configs = retaining(case)
    if configs:
        answer = client.ask(
            IncrementalAlterConfigsRequest, 1,
            resources=[
                {
                    "resource_type": TOPIC, "resource_name": name,
                    "configs": [
                        {"name": k, "config_operation": 0, "value": v} for k, v in configs.items()
                    ],
                }
            ],
        )  # fmt: skip
        assert answer.responses[0].error_code == 0, answer.responses[0].error_message
    if case.delete_to is not None:
        answer = client.ask(
            DeleteRecordsRequest, 2, timeout_ms=5000,
            topics=[
                {
                    "name": name,
                    "partitions": [{"partition_index": 0, "offset": case.delete_to}],
                }
            ],
        )  # fmt: skip
        assert answer.topics[0].partitions[0].error_code == 0


def main() -> None:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, KafkaNode(folder, settings=SETTINGS) as kafka:
        client = Client(kafka.bootstrap)
        data = pathlib.Path(folder) / "data"
        grown = {one.name: grow(client, one, data / f"{name_of(one)}-0") for one in CASES}
        for case in CASES:
            change(client, case)
        for case in CASES:
            left = settled(data / f"{name_of(case)}-0")
            start, end = (client.offset(name_of(case), which)[1] for which in (-2, -1))
            found[case.name] = outcome(grown[case.name], left, start, end)
    RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{len(found)} cases recorded")


if __name__ == "__main__":
    main()
