"""Partitions as AddPartitionsToTxn names them."""
from __future__ import annotations

from fastbroker.coordination.added_partitions import topics_of
from fastbroker.model import TopicPartition


def test_partitions_of_a_topic_are_one_entry() -> None:
    asked = [TopicPartition("a", 2), TopicPartition("b", 0), TopicPartition("a", 1)]
    assert [(one.name, one.partitions) for one in topics_of(asked)] == [("a", [2, 1]), ("b", [0])]
    assert topics_of([]) == []
