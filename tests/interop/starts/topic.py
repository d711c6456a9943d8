"""A topic of orders for the starting points: made, filled, watched, read to the end."""
from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.cimpl import NewTopic

DEADLINE_S = 60.0


def order(number: int) -> bytes:
    return json.dumps({"id": number, "amount": 2 * number}).encode()


def ids(messages: Iterable[Any], field: str = "id") -> list[int]:
    return [json.loads(message.value())[field] for message in messages]


class Topic:
    """A topic that nobody else has; its name begins with `word`."""

    def __init__(self, bootstrap: str, word: str, *, partitions: int) -> None:
        self.name = f"{word}-{uuid.uuid4().hex[:8]}"
        self.partitions = [TopicPartition(self.name, n) for n in range(partitions)]
        self._bootstrap = {"bootstrap.servers": bootstrap}
        self._admin = AdminClient(self._bootstrap)
        for made in self._admin.create_topics([NewTopic(self.name, partitions, 1)]).values():
            made.result(DEADLINE_S)

    def fill(self, values: Iterable[bytes], **config: object) -> None:
        """Send `values`, with a header, and keys that spread them over the partitions."""
        failed: list[KafkaError] = []
        producer = Producer({**self._bootstrap, "linger.ms": 5, **config})
        for count, value in enumerate(values):
            producer.produce(
                self.name, value, f"customer-{count % 50}", headers={"sent-by": "a test"},
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )  # fmt: skip
        assert producer.flush(DEADLINE_S) == 0
        assert not failed, failed[0]

    def ends(self, *, stable: bool = False) -> dict[int, int]:
        """The offset behind the last record of each partition; stable: of what is committed."""
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        asked = {one: OffsetSpec.latest() for one in self.partitions}
        answers = self._admin.list_offsets(asked, isolation_level=level).items()
        return {one.partition: answer.result(DEADLINE_S).offset for one, answer in answers}

    def committed(self, group: str) -> dict[int, int]:
        """The offsets that `group` has committed; 0 where there is none."""
        asked = ConsumerGroupTopicPartitions(group, self.partitions)
        answer = self._admin.list_consumer_group_offsets([asked])[group].result(DEADLINE_S)
        return {one.partition: max(one.offset, 0) for one in answer.topic_partitions or ()}

    def protocol(self, group: str) -> ConsumerGroupType:
        """The protocol that the members of `group` speak."""
        listed = self._admin.list_consumer_groups().result(DEADLINE_S)
        [found] = [one.type for one in listed.valid if one.group_id == group]
        return found

    def everything(self, beside: str = "") -> list[Message]:
        """All committed records, by partition and offset; beside: of the topic of that ending."""
        name = self.name + beside
        consumer = Consumer(
            {
                **self._bootstrap,
                "group.id": uuid.uuid4().hex,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        left = set(consumer.list_topics(name, DEADLINE_S).topics[name].partitions)
        consumer.assign([TopicPartition(name, partition, 0) for partition in left])
        found: list[Any] = []
        while left:
            message: Any = consumer.poll(DEADLINE_S)
            assert message is not None, f"{left} of {name} have no end"
            if not message.error():
                found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
            else:
                raise KafkaException(message.error())
        consumer.close()
        return sorted(found, key=lambda one: (one.partition(), one.offset()))
