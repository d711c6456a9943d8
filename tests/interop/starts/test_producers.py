"""The producers send everything, in large batches; the idempotent ones store it once."""
from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.broker_process import ROOT, BrokerProcess, free_ports
from tests.interop.broker import Broker
from tests.interop.starts.lost_answers import LostAnswers
from tests.interop.starts.programs import started
from tests.interop.starts.topic import DEADLINE_S, Topic, ids

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

COUNT, PARTITIONS = 20_000, 4
# Records in a batch, on average: far more than one; on a slow machine fewer come together.
BATCH_AT_LEAST = 50


def batches(data_dir: pathlib.Path, topic: str) -> list[dict[str, Any]]:
    folders = [str(folder) for folder in data_dir.glob(f"broker-*/{topic}-*")]
    assert len(folders) == PARTITIONS
    command = [sys.executable, "-m", "fastbroker", "log", "dump", "--json", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [line for line in lines if line["type"] == "batch"]


@pytest.mark.parametrize(
    "program", ["node/producer.js", "python/producer.py", "python/asyncio_producer.py"]
)
def test_a_producer_sends_large_batches(broker: Broker, program: str) -> None:
    topic = Topic(broker.bootstrap, "sent", partitions=PARTITIONS)
    with started(program, broker.bootstrap, topic.name, str(COUNT)) as producer:
        status, (line,) = producer.end()
    assert status == 0
    assert line.startswith(f"{COUNT} records in ")
    stored = topic.everything()
    assert sorted(ids(stored)) == list(range(COUNT))
    for partition in range(PARTITIONS):
        mine = ids(one for one in stored if one.partition() == partition)
        assert mine == sorted(mine), "a partition's records are in the order they were sent in"
    if broker.data_dir is not None:
        found = batches(broker.data_dir, topic.name)
        assert {one["codec"] for one in found} == {"snappy"}
        assert sum(one["records"] for one in found) == COUNT
        assert len(found) <= COUNT / BATCH_AT_LEAST, f"{len(found)} batches"


@pytest.fixture(scope="module")
def behind_a_bad_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LostAnswers]:
    """A broker whose clients lose every other answer to what they produce."""
    port = free_ports(2)
    settings = [f"advertised.listeners=PLAINTEXT://127.0.0.1:{port + 1}"]
    data_dir = tmp_path_factory.mktemp("bad-network") / "data"
    broker = BrokerProcess(data_dir, workers=1, port=port, settings=settings)
    with broker, LostAnswers(port + 1, port) as network:
        yield network


def through(network: LostAnswers) -> str:
    return f"127.0.0.1:{network.server_address[1]}"


@pytest.mark.parametrize("program", ["node/idempotent.js", "python/idempotent.py"])
def test_an_idempotent_producer_stores_a_record_once(
    behind_a_bad_network: LostAnswers, program: str
) -> None:
    bootstrap, lost = through(behind_a_bad_network), behind_a_bad_network.lost
    topic = Topic(bootstrap, "once", partitions=PARTITIONS)
    with started(program, bootstrap, topic.name, "6") as producer:
        status, lines = producer.end()
    assert status == 0
    assert behind_a_bad_network.lost - lost >= 3
    stored = topic.everything()
    assert sorted(ids(stored)) == list(range(6))
    where = {n: (one.partition(), one.offset()) for n, one in zip(ids(stored), stored, strict=True)}
    assert lines == [f"order {n}: partition {where[n][0]}, offset {where[n][1]}" for n in range(6)]


def test_without_idempotence_the_same_network_doubles(behind_a_bad_network: LostAnswers) -> None:
    bootstrap = through(behind_a_bad_network)
    topic = Topic(bootstrap, "twice", partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": False})
    for _ in range(2):
        producer.produce(topic.name, "x")
        assert producer.flush(DEADLINE_S) == 0
    assert len(topic.everything()) > 2
