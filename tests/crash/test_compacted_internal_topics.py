"""What coordinators keep in compacted topics is there after a restart: offsets and transactional
ids."""
from __future__ import annotations

import pathlib

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from fastbroker.storage.checkpoints import read_offsets
from fastbroker.storage.disk import Disk
from tests.broker_process import BrokerProcess, wait_until

SETTINGS = [
    "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1",
    "offsets.topic.segment.bytes=1048576", "transaction.state.log.segment.bytes=1048576",
    "log.cleaner.min.cleanable.ratio=0.01", "log.cleaner.backoff.ms=50",
    "log.flush.offset.checkpoint.interval.ms=100", "log.segment.delete.delay.ms=100",
]  # fmt: skip
PARTITIONS, ROUNDS = 20, 80
LONG = "x" * 8000  # in names, for segments of a mebibyte, the smallest, to be full soon
INTERNAL = ("__consumer_offsets", "__transaction_state")


def consumer_of(broker: BrokerProcess, group: str) -> Consumer:
    return Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False,
         "isolation.level": "read_committed", "log_level": 0}
    )  # fmt: skip


def committed(broker: BrokerProcess, group: str) -> list[int]:
    consumer = consumer_of(broker, group)
    try:
        asked = [TopicPartition("t", n) for n in range(PARTITIONS)]
        return [one.offset for one in consumer.committed(asked, timeout=30)]
    finally:
        consumer.close()


def transactional(broker: BrokerProcess, name: str) -> Producer:
    made = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": name, "log_level": 0}
    )
    made.init_transactions(30)
    return made


def directory_of(path: pathlib.Path) -> pathlib.Path:
    (found,) = path.glob("broker-*")
    return found


def cleaned_to(path: pathlib.Path, topic: str) -> int:
    """How far a partition's log was compacted."""
    checkpoint = str(directory_of(path) / "cleaner-offset-checkpoint")
    found = read_offsets(Disk(), checkpoint)
    return next((end for one, end in found.items() if one.topic == topic), 0)


def last_base(path: pathlib.Path, topic: str) -> int:
    """Where its active segment begins."""
    return max(int(file.stem) for file in (directory_of(path) / f"{topic}-0").glob("*.log"))


@pytest.mark.crash
@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_clean", [True, False])
def test_what_coordinators_know_outlives_compaction(tmp_path: pathlib.Path, is_clean: bool) -> None:
    with BrokerProcess(tmp_path, workers=1, settings=SETTINGS) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic("t", PARTITIONS, 1)])["t"].result()
        idle, busy = consumer_of(broker, "idle"), consumer_of(broker, "busy")
        idle.commit(
            offsets=[TopicPartition("t", n, 1000 + n) for n in range(PARTITIONS)],
            asynchronous=False,
        )
        early = transactional(broker, "early")  # the next with this name fences it
        producer = transactional(broker, "often" + LONG)
        for number in range(ROUNDS):
            busy.commit(
                offsets=[
                    TopicPartition("t", n, number * n, LONG[:2000]) for n in range(PARTITIONS)
                ],
                asynchronous=False,
            )
            producer.begin_transaction()
            producer.produce("t", str(number), partition=0)
            if number % 3:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)
        for consumer in (idle, busy):
            consumer.close()
        for topic in INTERNAL:
            wait_until(
                lambda topic=topic: 0 < last_base(tmp_path, topic) == cleaned_to(tmp_path, topic),
                20, f"{topic} to be compacted",
            )  # fmt: skip
        if is_clean:
            broker.stop()
        else:
            broker.kill_all()
        broker.start()
        assert committed(broker, "idle") == [1000 + n for n in range(PARTITIONS)]
        assert committed(broker, "busy") == [(ROUNDS - 1) * n for n in range(PARTITIONS)]
        # The producer goes on with its id and epoch, and so does the one that slept.
        producer.begin_transaction()
        producer.produce("t", "afterwards", partition=0)
        producer.commit_transaction(30)
        early.begin_transaction()
        early.produce("t", "early", partition=1)
        early.commit_transaction(30)
        transactional(broker, "early")
        early.begin_transaction()
        early.produce("t", "too late", partition=1)
        with pytest.raises(KafkaException):
            early.commit_transaction(30)
        values = read(broker)
        assert values == [
            *(str(n) for n in range(ROUNDS) if n % 3), "afterwards"
        ]  # fmt: skip


def read(broker: BrokerProcess) -> list[str]:
    """Committed values of the first partition."""
    consumer = consumer_of(broker, "reader")
    try:
        at = TopicPartition("t", 0, 0)
        _, end = consumer.get_watermark_offsets(at, timeout=30)
        consumer.assign([at])
        found: list[str] = []

        def is_over() -> bool:
            for message in consumer.consume(500, 0.2):
                assert message.error() is None
                found.append(message.value().decode())
            return bool(consumer.position([at])[0].offset >= end)

        wait_until(is_over, 20, "the end of the partition")
        return found
    finally:
        consumer.close()
