"""What the metadata log says of the past touches nothing when a worker starts and reads it.

A topic that was deleted and made anew keeps its later life: its directory, and what groups have
committed on it. A transaction that was decided gets its markers, though there was a time when its
coordinator led and the topic was not made yet.
"""
from __future__ import annotations

import os
import pathlib
import signal

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from fastbroker.coordination.hashing import partition_of
from tests.broker_process import BrokerProcess

T0 = TopicPartition("t", 0)
PARTITIONS = 80  # of topics in between: more records than a worker applies at once


def admin_of(broker: BrokerProcess) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


def create(admin: AdminClient, name: str, partitions: int = 1) -> None:
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result()


def led_by(admin: AdminClient, topic: str, worker: int) -> list[int]:
    """The partitions of a topic that a worker leads."""
    described = admin.list_topics(topic, timeout=10).topics[topic]
    return [n for n, one in described.partitions.items() if (one.leader - 1) // 1000 == worker]


def consumer_of(broker: BrokerProcess) -> Consumer:
    return Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": "g", "enable.auto.commit": False,
         "isolation.level": "read_committed", "log_level": 0}
    )  # fmt: skip


def state(broker: BrokerProcess) -> tuple[tuple[int, int], int]:
    """((log start, high watermark), committed offset) of the topic."""
    consumer = consumer_of(broker)
    try:
        (committed,) = consumer.committed([T0], timeout=30)
        return consumer.get_watermark_offsets(T0, timeout=30), committed.offset
    finally:
        consumer.close()


@pytest.mark.crash
@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_clean", [True, False])
def test_what_a_topic_was_once_is_of_the_past(tmp_path: pathlib.Path, is_clean: bool) -> None:
    with BrokerProcess(tmp_path, workers=1) as broker:
        admin = admin_of(broker)
        create(admin, "t")
        consumer = consumer_of(broker)
        consumer.commit(offsets=[TopicPartition("t", 0, 0)], asynchronous=False)
        create(admin, "between", PARTITIONS)
        create(admin, "more", PARTITIONS)
        admin.delete_topics(["t"])["t"].result()
        create(admin, "and-more", PARTITIONS)
        create(admin, "t")
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap, "acks": "all", "log_level": 0}
        )
        for n in range(10):
            producer.produce("t", str(n))
        assert producer.flush(30) == 0
        consumer.commit(offsets=[TopicPartition("t", 0, 7)], asynchronous=False)
        consumer.close()
        assert state(broker) == ((0, 10), 7)
        if is_clean:
            broker.stop()
        else:
            broker.kill_all()
        broker.start()
        assert state(broker) == ((0, 10), 7)


@pytest.mark.crash
@pytest.mark.timeout(120)
def test_what_was_decided_gets_its_markers_in_topics_that_were_made_later(
    tmp_path: pathlib.Path,
) -> None:
    with BrokerProcess(tmp_path, workers=2) as broker:
        admin = admin_of(broker)
        settings = {"bootstrap.servers": broker.bootstrap, "log_level": 0}
        Producer({**settings, "transactional.id": "first"}).init_transactions(30)
        for name in ("between", "more", "t"):
            create(admin, name, PARTITIONS)
        here = led_by(admin, "__transaction_state", 0)
        name = next(f"t{n}" for n in range(1000) if partition_of(f"t{n}", 50) in here)
        at = TopicPartition("t", led_by(admin, "t", 1)[0], 0)
        producer = Producer({**settings, "transactional.id": name})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(at.topic, "value", partition=at.partition)
        assert producer.flush(30) == 0
        os.kill(broker.roles()["fb-worker-1"], signal.SIGSTOP)  # it writes no marker
        producer.commit_transaction(30)
        for role in ("fb-worker-0", "fb-worker-1"):  # the coordinator first: it sends no more
            broker.kill(role)
        consumer = consumer_of(broker)
        consumer.assign([at])
        try:
            found = consumer.poll(30)
            assert found is not None
            assert found.error() is None
            assert found.value() == b"value"
        finally:
            consumer.close()
