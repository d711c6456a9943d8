"""confluent-kafka (librdkafka) for Python."""
from __future__ import annotations

import sys
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from tests.interop.records import Record


def produce(bootstrap: str, file: str, topics: list[str]) -> None:
    with open(file) as lines:
        records = [Record.from_json(line) for line in lines]
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failed.append(error)

    for codec, topic in (one.split("=") for one in topics):
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": codec,
                "enable.idempotence": True,
                "linger.ms": 20,
            }
        )
        for record in records:
            if record.topic == topic:
                producer.produce(
                    topic,
                    key=record.key,
                    value=record.value,
                    partition=record.partition,
                    headers=list(record.headers),
                    on_delivery=delivered,
                )
        if producer.flush(30):
            raise TimeoutError("records were not acknowledged")
    if failed:
        raise KafkaException(failed[0])


def consume(bootstrap: str, group: str, count: int, topics: list[str]) -> None:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(topics)
    seen = 0
    while seen < count:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        headers: Any = message.headers() or ()
        topic: Any = message.topic()
        partition: Any = message.partition()
        record = Record(topic, partition, message.key(), message.value(), tuple(headers))
        print(record.to_json(), flush=True)
        seen += 1
    consumer.close()


if __name__ == "__main__":
    role, bootstrap, first, *rest = sys.argv[1:]
    if role == "produce":
        produce(bootstrap, first, rest)
    else:
        consume(bootstrap, first, int(rest[0]), rest[1:])
