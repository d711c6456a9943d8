"""Real clients that consume, produce and send their offsets in transactions.

Each copies records from one topic to another in transactions, of which some are aborted, and says
what it has committed; workers are killed while a transaction is open.
"""
from __future__ import annotations

import asyncio
import json
import os
import pathlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioPartition
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker_process import BrokerProcess, wait_until
from tests.interop import installs

RECORDS = 30
DEADLINE_S = 30.0
SCRIPT = pathlib.Path(__file__).with_name("kafkajs_offsets.js")


class Copying:
    """Topics `source` and `target`, and the group that copies from one to the other."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        name = uuid.uuid4().hex[:8]
        self.source, self.target, self.group = f"in-{name}", f"out-{name}", f"group-{name}"
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        topics = [NewTopic(topic, 1, 1) for topic in (self.source, self.target)]
        for made in self.admin.create_topics(topics).values():
            made.result(DEADLINE_S)
        producer = Producer({"bootstrap.servers": bootstrap})
        for n in range(RECORDS):
            producer.produce(self.source, b"%d" % n)
        assert producer.flush(DEADLINE_S) == 0

    def committed(self, *, stable: bool = True) -> int:
        """The offset that the group has committed; -1 while it is not known for sure."""
        asked = ConsumerGroupTopicPartitions(self.group, [TopicPartition(self.source, 0)])
        answer = self.admin.list_consumer_group_offsets(
            [asked], require_stable=stable, request_timeout=10
        )
        (found,) = answer[self.group].result(DEADLINE_S).topic_partitions
        return -1 if found.error is not None else int(found.offset)

    def copied(self, count: int) -> list[int]:
        """What is in the target, aborted records left out; waits for `count` records."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(self.target, 0, 0)])
        found: list[int] = []
        until = time.monotonic() + DEADLINE_S
        while len(found) < count and time.monotonic() < until:
            record = consumer.poll(1.0)
            if record is not None and record.error() is None:
                found.append(int(record.value()))
        consumer.close()
        return found


def confluent_copies(copying: Copying) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": copying.bootstrap,
            "group.id": copying.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([copying.source])
    producer = Producer(
        {"bootstrap.servers": copying.bootstrap, "transactional.id": f"tx-{copying.group}"}
    )
    producer.init_transactions(DEADLINE_S)
    position = 0
    for commit in (True, False, True, True):
        records: list[Any] = []
        until = time.monotonic() + DEADLINE_S
        while len(records) < 10 and time.monotonic() < until:
            records += [r for r in consumer.consume(10 - len(records), 1.0) if r.error() is None]
        assert [int(r.value()) for r in records] == list(range(position, position + 10))
        producer.begin_transaction()
        for record in records:
            producer.produce(copying.target, record.value())
        producer.send_offsets_to_transaction(
            [TopicPartition(copying.source, 0, position + 10)],
            consumer.consumer_group_metadata(),
            DEADLINE_S,
        )
        assert copying.committed(stable=False) in (position, -1001)
        if commit:
            producer.commit_transaction(DEADLINE_S)
            position += 10
        else:
            producer.abort_transaction(DEADLINE_S)
            consumer.seek(TopicPartition(copying.source, 0, position))
    consumer.close()


def aiokafka_copies(copying: Copying) -> None:
    async def copy() -> None:
        consumer = AIOKafkaConsumer(
            copying.source,
            bootstrap_servers=copying.bootstrap,
            group_id=copying.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=copying.bootstrap, transactional_id=f"tx-{copying.group}"
        )
        await consumer.start()
        await producer.start()
        at = AioPartition(copying.source, 0)
        position = 0
        for commit in (True, False, True, True):
            records: list[Any] = []
            while len(records) < 10:
                found = await consumer.getmany(
                    at, timeout_ms=1_000, max_records=10 - len(records)
                )
                records += found.get(at, [])
            assert [int(r.value) for r in records] == list(range(position, position + 10))
            await producer.begin_transaction()
            for record in records:
                await producer.send(copying.target, record.value)
            await producer.send_offsets_to_transaction({at: position + 10}, copying.group)
            if commit:
                await producer.commit_transaction()
                position += 10
            else:
                await producer.abort_transaction()
                consumer.seek(at, position)
        await producer.stop()
        await consumer.stop()

    asyncio.run(asyncio.wait_for(copy(), 2 * DEADLINE_S))


def kafkajs_copies(copying: Copying) -> None:
    modules = installs.npm("kafkajs")
    env = {**os.environ, "NODE_PATH": str(modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}
    command = [str(installs.node() / "node"), str(SCRIPT), copying.bootstrap, copying.source,
               copying.target, copying.group]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"position": RECORDS}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("transactions"), workers=2) as process:
        yield process


@pytest.mark.parametrize("copies", [confluent_copies, aiokafka_copies, kafkajs_copies])
def test_records_are_copied_with_their_offsets(
    broker: BrokerProcess, copies: Callable[[Copying], None]
) -> None:
    copying = Copying(broker.bootstrap)
    copies(copying)
    wait_until(lambda: copying.committed() == RECORDS, DEADLINE_S, "the last commit")
    assert copying.copied(RECORDS) == list(range(RECORDS))


@pytest.mark.parametrize("commit", [True, False])
def test_a_transaction_outlives_a_worker_that_is_killed(
    broker: BrokerProcess, commit: bool
) -> None:
    copying = Copying(broker.bootstrap)
    servers = {"bootstrap.servers": copying.bootstrap, "log_level": 2}
    consumer = Consumer({**servers, "group.id": copying.group})
    producer = Producer({**servers, "transactional.id": f"tx-{copying.group}"})
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    producer.send_offsets_to_transaction(
        [TopicPartition(copying.source, 0, 7)], consumer.consumer_group_metadata(), DEADLINE_S
    )
    for role in ("fb-worker-0", "fb-worker-1"):
        broker.kill(role)
    end = producer.commit_transaction if commit else producer.abort_transaction
    end(2 * DEADLINE_S)
    expected = 7 if commit else -1001  # librdkafka's "none"
    wait_until(lambda: copying.committed() == expected, DEADLINE_S, "the transaction's end")
    consumer.close()
