"""Which brokers hold a new partition.

Brokers stand in a ring in which neighbours are on different hosts as far as that goes: the first
worker of every host, then the second of every host, and so on (host = id % 1000). A partition's
replicas are neighbours in the ring; the next partition starts one further.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fastbroker import errors
from fastbroker.metadata.image import BrokerImage, MetadataImage
from fastbroker.model import WORKER_STRIDE, ZERO_UUID
from fastbroker.protocol.metadata_records import PartitionRecord


def place(
    image: MetadataImage, topic_id: bytes, *, first: int, count: int, replication_factor: int
) -> list[tuple[int, ...]]:
    """Replicas of the partitions [first, first + count) of a topic.

    Where a topic starts in the ring follows from its id, which is random.
    Raises InvalidReplicationFactor.
    """
    check_replication_factor(image, replication_factor)
    ring = _ring(b for b in image.brokers.values() if b.is_active)
    if len(ring) < replication_factor:
        raise errors.InvalidReplicationFactor(
            f"Unable to replicate the partition {replication_factor} time(s): only {len(ring)} of"
            f" {len(image.brokers)} brokers are live, all others are fenced or in controlled"
            " shutdown; start them or try again once they are up"
        )
    start = int.from_bytes(topic_id[-4:], "big") + first
    return [
        tuple(ring[(start + p + r) % len(ring)] for r in range(replication_factor))
        for p in range(count)
    ]


def check_replication_factor(image: MetadataImage, replication_factor: int) -> None:
    """Raise InvalidReplicationFactor for what cannot be had."""
    if replication_factor > len(image.brokers):
        raise errors.InvalidReplicationFactor(
            f"Unable to replicate the partition {replication_factor} time(s): only"
            f" {len(image.brokers)} broker(s) are registered; start more brokers or ask for fewer"
            " replicas"
        )
    if replication_factor > 1:
        raise errors.InvalidReplicationFactor(
            f"Unable to replicate the partition {replication_factor} time(s): replication between"
            " brokers is not available yet; create the topic with replication factor 1"
        )


def partition_record(
    image: MetadataImage, topic_id: bytes, index: int, replicas: tuple[int, ...]
) -> PartitionRecord:
    """The first record of a partition: every active replica is in sync, the first of them leads."""
    isr = [r for r in replicas if image.brokers[r].is_active]
    return PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=list(replicas),
        isr=isr,
        leader=isr[0],
        leader_epoch=0,
        partition_epoch=0,
        directories=[_directory(image.brokers[r]) for r in replicas],
    )


def check_assignment(
    image: MetadataImage, index: int, replicas: tuple[int, ...], *, replication_factor: int
) -> None:
    """Raise InvalidReplicaAssignment unless somebody may assign partition `index` so by hand.

    replication_factor: of the topic's other partitions.
    """
    what = "The manual partition assignment includes"
    if not replicas:
        raise errors.InvalidReplicaAssignment(f"{what} an empty replica list.")
    for replica in replicas:
        if replica not in image.brokers:
            raise errors.InvalidReplicaAssignment(
                f"{what} broker {replica}, but no such broker is registered."
            )
        if replicas.count(replica) > 1:
            raise errors.InvalidReplicaAssignment(f"{what} the broker {replica} more than once.")
    if len(replicas) != replication_factor:
        raise errors.InvalidReplicaAssignment(
            f"{what} a partition with {len(replicas)} replica(s), but this is not consistent with"
            f" previous partitions, which have {replication_factor} replica(s)."
        )
    if not any(image.brokers[r].is_active for r in replicas):
        raise errors.InvalidReplicaAssignment(
            f"All brokers specified in the manual partition assignment for partition {index} are"
            " fenced or in controlled shutdown."
        )


def _directory(broker: BrokerImage) -> bytes:
    return broker.log_dirs[0] if len(broker.log_dirs) == 1 else ZERO_UUID


def _ring(brokers: Iterable[BrokerImage]) -> list[int]:
    by_host: dict[int, list[int]] = defaultdict(list)
    for broker in sorted(brokers):
        by_host[broker.id % WORKER_STRIDE].append(broker.id)
    places = [
        (nth, host, broker_id)
        for host, ids in by_host.items()
        for nth, broker_id in enumerate(ids)
    ]
    return [broker_id for _, _, broker_id in sorted(places)]
