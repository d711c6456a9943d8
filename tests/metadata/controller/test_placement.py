"""Partitions spread over live brokers, hosts first."""

from __future__ import annotations

from collections import Counter

import pytest

from fastbroker import errors
from fastbroker.metadata.controller.placement import partition_record, place
from tests.metadata.controller.cluster import Cluster, uuid


def test_partitions_go_round_the_live_brokers() -> None:
    cluster = Cluster()
    cluster.start(1, 1001, 2, 1002)
    cluster.register(3)  # fenced
    placed = place(cluster.image, uuid(7), first=0, count=8, replication_factor=1)
    assert Counter(replicas[0] for replicas in placed) == {1: 2, 1001: 2, 2: 2, 1002: 2}
    assert {r[0] % 1000 for r in placed[:2]} == {1, 2}, "neighbours are on different hosts"


def test_further_partitions_go_on_where_the_first_ones_ended() -> None:
    cluster = Cluster()
    cluster.start(1, 1001, 2001)
    whole = place(cluster.image, uuid(7), first=0, count=5, replication_factor=1)
    tail = place(cluster.image, uuid(7), first=2, count=3, replication_factor=1)
    assert whole[2:] == tail


def test_without_a_live_broker_nothing_is_placed() -> None:
    cluster = Cluster()
    cluster.register(1)
    with pytest.raises(errors.InvalidReplicationFactor, match="fenced or in controlled shutdown"):
        place(cluster.image, uuid(7), first=0, count=1, replication_factor=1)


def test_more_replicas_than_one_are_refused_with_the_reason() -> None:
    cluster = Cluster()
    cluster.start(1, 2)
    with pytest.raises(errors.InvalidReplicationFactor, match=r"only 2 broker\(s\)"):
        place(cluster.image, uuid(7), first=0, count=1, replication_factor=3)
    with pytest.raises(errors.InvalidReplicationFactor, match="not available yet"):
        place(cluster.image, uuid(7), first=0, count=1, replication_factor=2)


def test_the_directory_is_the_broker_s_only_one_or_unassigned() -> None:
    cluster = Cluster()
    cluster.start(1)
    cluster.register(2, log_dirs=[uuid(8), uuid(9)])
    assert not cluster.heartbeat(2).is_fenced
    record = partition_record(cluster.image, uuid(7), 0, (1, 2))
    assert record.directories == [uuid(101), bytes(16)]
    assert (record.leader, record.leader_epoch, record.partition_epoch) == (1, 0, 0)
