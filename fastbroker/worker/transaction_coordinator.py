"""The coordinator of transactions, wired; imported when it is made."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastbroker.handlers.context import TRANSACTIONS_TOPIC, Broker
from fastbroker.metadata.features import TRANSACTION_VERSION
from fastbroker.model import Deferred, TopicPartition
from fastbroker.txn.coordinator import TransactionCoordinator
from fastbroker.worker.internal_topic import InternalTopic

MARKERS_VERSION = 2  # of WriteTxnMarkers


def transaction_coordinator(
    broker: Broker, call: Callable[[int, Any, int], Deferred[Any]]
) -> TransactionCoordinator:
    """For the transactional ids of `broker`. call(broker id, request, version): its response."""

    def leader_of(partition: TopicPartition) -> int | None:
        topic = broker.image.topics.get(partition.topic)
        found = topic.partitions.get(partition.partition) if topic is not None else None
        return found.leader if found is not None else None

    return TransactionCoordinator(
        broker.config,
        broker.timers,
        append=InternalTopic(broker, TRANSACTIONS_TOPIC).append,
        allocate_producer_id=broker.allocate_producer_id,
        write_markers=lambda to, request: call(to, request, MARKERS_VERSION),
        leader_of=leader_of,
        offsets_partition=lambda group_id: broker.groups.partition_for(group_id),
        version=lambda: broker.image.features.get(TRANSACTION_VERSION, 0),
    )
