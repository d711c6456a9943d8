"""What real clients make of a broker's directory: codecs, keys, transactions, groups, a topic that
is compacted, small segments."""
from __future__ import annotations

import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TIMEOUT_S = 30
SEGMENT_BYTES = 1 << 20
TOPICS = {
    "plain": {},
    "small": {"segment.bytes": str(SEGMENT_BYTES), "index.interval.bytes": "100"},
    "stamped": {"message.timestamp.type": "LogAppendTime", "index.interval.bytes": "100"},
    "latest": {
        "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "100",
    },
    "paid": {"segment.bytes": str(SEGMENT_BYTES), "index.interval.bytes": "100"},
}  # fmt: skip


def create_topics(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(name, 2, 1, config=config) for name, config in TOPICS.items()]
    for done in admin.create_topics(topics).values():
        done.result(TIMEOUT_S)


def produce(bootstrap: str) -> None:
    """Batches of every codec, idempotent ones among them, with and without keys and headers."""
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        settings = {
            "bootstrap.servers": bootstrap, "compression.type": codec, "batch.num.messages": 50,
            "enable.idempotence": codec in ("none", "lz4"), "linger.ms": 1,
        }  # fmt: skip
        producer = Producer(settings)
        for number in range(400):
            for topic in ("plain", "small", "stamped", "latest"):
                key = b"key %d" % (number % 7)
                value = None if topic == "latest" and number % 50 == 0 else b"%d " % number * 200
                producer.produce(
                    topic, key=key, value=value, partition=number % 2, headers={"codec": codec}
                )
            if number % 100 == 99:
                assert producer.flush(TIMEOUT_S) == 0
        assert producer.flush(TIMEOUT_S) == 0


def transact(bootstrap: str, *, last_is_open: bool) -> Producer:
    """Transactions of several producers, each third aborted; the last one stays open, or not."""
    for name in ("one", "two"):
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
        producer.init_transactions(TIMEOUT_S)
        for number in range(12):
            producer.begin_transaction()
            for part in range(5):
                producer.produce("paid", value=b"%d" % number * 20_000, partition=part % 2)
            assert producer.flush(TIMEOUT_S) == 0
            if number % 3 == 2:
                producer.abort_transaction(TIMEOUT_S)
            else:
                producer.commit_transaction(TIMEOUT_S)
    if last_is_open:
        producer.begin_transaction()
        producer.produce("paid", value=b"open", partition=0)
        assert producer.flush(TIMEOUT_S) == 0
    return producer


def consume(bootstrap: str) -> None:
    """A group reads and commits."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "readers", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["plain", "paid"])
    seen, deadline = 0, time.monotonic() + TIMEOUT_S
    while seen < 500:
        got = consumer.consume(100, 1.0)
        seen += len(got)
        if got:
            consumer.commit(asynchronous=False)
        assert time.monotonic() < deadline, f"{seen} records in {TIMEOUT_S} s"
    consumer.close()
