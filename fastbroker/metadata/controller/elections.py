"""Leaders and ISRs when a broker goes or comes.

A leader is the first replica, in the order of assignment, that is in the ISR and active. The last
member of an ISR stays in it when it goes: the partition then has no leader until that broker is
back, because nobody else has all of its acknowledged records. Kafka: PartitionChangeBuilder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastbroker.metadata.image import NO_LEADER, MetadataImage, PartitionImage, TopicImage
from fastbroker.protocol.metadata_records import PartitionChangeRecord
from fastbroker.protocol.schema import Struct


def broker_leaves(image: MetadataImage, broker_id: int) -> list[Struct]:
    """Changes that take `broker_id` out of every ISR and every leadership."""
    out: list[Struct] = []
    known: dict[int, dict[str, Any] | None] = {}  # by the id of a partition: many are one object
    for topic, index, partition in _partitions(image):
        try:
            change = known[id(partition)]
        except KeyError:
            change = known[id(partition)] = _departure(image, partition, broker_id)
        if change is not None:
            out.append(PartitionChangeRecord(partition_id=index, topic_id=topic.id, **change))
    return out


def broker_comes(image: MetadataImage, broker_id: int) -> list[Struct]:
    """Changes that give partitions without a leader to `broker_id`, active from now on."""
    return [
        PartitionChangeRecord(partition_id=index, topic_id=topic.id, leader=broker_id)
        for topic, index, partition in _partitions(image)
        if partition.leader == NO_LEADER and broker_id in partition.isr
    ]


def leads_any(image: MetadataImage, broker_id: int) -> bool:
    """Whether `broker_id` leads a partition."""
    return any(partition.leader == broker_id for _, _, partition in _partitions(image))


def _partitions(image: MetadataImage) -> Iterator[tuple[TopicImage, int, PartitionImage]]:
    for topic in image.topics.values():
        for index, partition in topic.partitions.items():
            yield topic, index, partition


def _departure(
    image: MetadataImage, partition: PartitionImage, broker_id: int
) -> dict[str, Any] | None:
    """Fields of the change that takes `broker_id` out of a partition; None: it is not in it."""
    if broker_id not in partition.isr:
        return None
    isr = tuple(b for b in partition.isr if b != broker_id) or partition.isr
    change: dict[str, Any] = {}
    if isr != partition.isr:
        change["isr"] = list(isr)
    if partition.leader == broker_id:
        change["leader"] = _leader(image, partition.replicas, isr, without=broker_id)
    return change or None


def _leader(
    image: MetadataImage, replicas: tuple[int, ...], isr: tuple[int, ...], *, without: int
) -> int:
    for replica in replicas:
        broker = image.brokers.get(replica)
        if replica != without and replica in isr and broker is not None and broker.is_active:
            return replica
    return NO_LEADER
