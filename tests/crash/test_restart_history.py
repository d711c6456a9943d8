"""A topic that was deleted and made anew, long ago in the metadata log, survives a restart.

Workers read that log from its start. What it says of the topic's earlier life must not touch the
later one: neither its directory, nor what groups have committed on it.
"""
from __future__ import annotations

import pathlib

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker_process import BrokerProcess

T0 = TopicPartition("t", 0)
PARTITIONS = 80  # of topics in between: more records than a worker applies at once


def consumer_of(broker: BrokerProcess) -> Consumer:
    return Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": "g", "enable.auto.commit": False,
         "log_level": 0}
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
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})

        def create(name: str, partitions: int = 1) -> None:
            admin.create_topics([NewTopic(name, partitions, 1)])[name].result()

        create("t")
        consumer = consumer_of(broker)
        consumer.commit(offsets=[TopicPartition("t", 0, 0)], asynchronous=False)
        create("between", PARTITIONS)
        create("more", PARTITIONS)
        admin.delete_topics(["t"])["t"].result()
        create("and-more", PARTITIONS)
        create("t")
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
