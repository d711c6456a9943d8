"""Topics of orders for the starting points: made, filled, read to the end."""
from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.cimpl import NewTopic

DEADLINE_S = 30.0


def new_topic(bootstrap: str, word: str, partitions: int) -> str:
    """A topic that nobody else has."""
    name = f"{word}-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        made.result(DEADLINE_S)
    return name


def order(number: int) -> bytes:
    return json.dumps({"id": number, "amount": 2 * number}).encode()


def fill(bootstrap: str, topic: str, values: Iterable[bytes], **config: object) -> int:
    """Send `values`, with keys that spread them; how many there were."""
    failed: list[KafkaError] = []
    count = 0
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, **config})
    for count, value in enumerate(values, 1):
        producer.produce(
            topic, value, f"customer-{count % 50}", headers={"sent-by": "a test"},
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )  # fmt: skip
    assert producer.flush(DEADLINE_S) == 0
    assert not failed, failed[0]
    return count


def everything(bootstrap: str, topic: str) -> list[Message]:
    """All committed records of `topic`, by partition and offset."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    left = set(consumer.list_topics(topic, DEADLINE_S).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
    found: list[Any] = []
    while left:
        message: Any = consumer.poll(DEADLINE_S)
        assert message is not None, f"{left} of {topic} have no end"
        if not message.error():
            found.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            left.discard(message.partition())
        else:
            raise KafkaException(message.error())
    consumer.close()
    return sorted(found, key=lambda one: (one.partition(), one.offset()))


def ids(messages: Iterable[Any], field: str = "id") -> list[int]:
    return [json.loads(message.value())[field] for message in messages]


def ends(bootstrap: str, topic: str, partitions: int, **how: Any) -> dict[int, int]:
    """The offset behind the last record of each partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = {TopicPartition(topic, n): OffsetSpec.latest() for n in range(partitions)}
    return {
        one.partition: answer.result(DEADLINE_S).offset
        for one, answer in admin.list_offsets(asked, **how).items()
    }


def committed(bootstrap: str, topic: str, partitions: int, group: str) -> dict[int, int]:
    """The offsets that `group` has committed; 0 where there is none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    asked = [TopicPartition(topic, n) for n in range(partitions)]
    found = {one.partition: max(one.offset, 0) for one in consumer.committed(asked, DEADLINE_S)}
    consumer.close()
    return found
