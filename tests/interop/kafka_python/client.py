"""kafka-python: pure Python, newest protocol versions.

Cannot send: a header without a value (it asks for bytes).
"""
from __future__ import annotations

import sys

from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]

from tests.interop.records import Record


def produce(bootstrap: str, file: str, topics: list[str]) -> None:
    with open(file) as lines:
        records = [Record.from_json(line) for line in lines]
    for codec, topic in (one.split("=") for one in topics):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=True,
            linger_ms=20,
        )
        sent = [
            producer.send(
                topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                headers=list(record.headers),
            )
            for record in records
            if record.topic == topic
        ]
        for future in sent:
            future.get(30)
        producer.close()


def consume(bootstrap: str, group: str, count: int, topics: list[str]) -> None:
    consumer = KafkaConsumer(
        *topics, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest"
    )
    for seen, message in enumerate(consumer, start=1):
        where = message.topic, message.partition
        record = Record(*where, message.key, message.value, tuple(message.headers))
        print(record.to_json(), flush=True)
        if seen == count:
            break
    consumer.close()


if __name__ == "__main__":
    role, bootstrap, first, *rest = sys.argv[1:]
    if role == "produce":
        produce(bootstrap, first, rest)
    else:
        consume(bootstrap, first, int(rest[0]), rest[1:])
