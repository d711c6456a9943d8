"""Partitions as AddPartitionsToTxn names them."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnTopic


def topics_of(partitions: Iterable[TopicPartition]) -> list[AddPartitionsToTxnTopic]:
    """One entry for each topic."""
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, number in partitions:
        by_topic[topic].append(number)
    return [
        AddPartitionsToTxnTopic(name=topic, partitions=numbers)
        for topic, numbers in by_topic.items()
    ]
