"""The coordinator of groups, wired; imported when it is made."""
from __future__ import annotations

import uuid

from fastbroker.group.coordinator import GroupCoordinator
from fastbroker.group.topics import Topics
from fastbroker.handlers.context import Broker
from fastbroker.worker.offsets_topic import OffsetsTopic

MEMBER_NAME_MAX = 1_000  # characters of a client's or an instance's id that begin a member id


def group_coordinator(broker: Broker) -> GroupCoordinator:
    """For the groups of `broker`."""
    offsets = OffsetsTopic(broker)

    def topic_id(name: str) -> bytes | None:
        topic = broker.image.topics.get(name)
        return topic.id if topic is not None else None

    def topic_name(topic_id: bytes) -> str | None:
        topic = broker.image.topics_by_id.get(topic_id)
        return topic.name if topic is not None else None

    def has_partition(topic: str, number: int) -> bool:
        found = broker.image.topics.get(topic)
        return found is not None and number in found.partitions

    def partition_count(topic: str) -> int:
        found = broker.image.topics.get(topic)
        return 0 if found is None else len(found.partitions)

    return GroupCoordinator(
        broker.config,
        broker.timers,
        append=offsets.append,
        transactions=offsets.transactions,
        new_member_id=lambda name: f"{name[:MEMBER_NAME_MAX]}-{uuid.uuid4()}",
        topics=Topics(
            topic_id, topic_name, has_partition, partition_count, lambda: broker.image.topics
        ),
        overrides=lambda group_id: broker.image.group_configs(group_id),
    )
