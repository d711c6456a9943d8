"""Which open transactions hang: those that no coordinator is going to end."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.cli.client import Client
from fastbroker.cli.leaders import Found, Leaders
from fastbroker.cli.txn import hanging
from fastbroker.cli.txn.hanging import Open, hanging_in
from fastbroker.cli.txn.transaction import Producer, Transaction
from fastbroker.cli.txn.transactions import Listed
from fastbroker.model import TopicPartition

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


def producer(number: int, start_offset: int = 10) -> Producer:
    return Producer(number, 0, 0, 1000, start_offset)


def transaction(
    name: str, number: int, partitions: list[TopicPartition], state: str = "Ongoing"
) -> Transaction:
    return Transaction(name, state, 1, number, 0, 60_000, 1000, partitions)


class Cluster:
    """What leaders say, one answer after the other, and what coordinators know."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open: list[dict[TopicPartition, list[Producer]]] = []
        self.known: list[Transaction] = []
        self.failed: dict[TopicPartition, errors.KafkaError] = {}
        for name in ("producers", "listed", "described"):
            monkeypatch.setattr(hanging, name, getattr(self, name))
        self.leaders = Leaders(Client("a:1"), [])

    def producers(
        self, _: Leaders, partitions: Iterable[TopicPartition]
    ) -> Found[list[Producer]]:
        wanted, said = set(partitions), self.open.pop(0)
        return Found({one: said[one] for one in said if one in wanted}, self.failed)

    def listed(self, _: Client, *, producer_ids: list[int]) -> list[Listed]:
        return [
            Listed(one.transactional_id, one.state, 1, one.producer_id)
            for one in self.known
            if one.producer_id in producer_ids
        ]

    def described(self, _: Client, ids: list[str]) -> Iterator[tuple[str, Any]]:
        for one in self.known:
            if one.transactional_id in ids:
                yield one.transactional_id, one

    def hanging(self) -> list[Open]:
        return hanging_in(self.leaders, [T0, T1])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_what_a_coordinator_has_open_there_does_not_hang(cluster: Cluster) -> None:
    seen = {T0: [producer(1), producer(2), producer(9, -1)], T1: [producer(1)]}
    cluster.open = [seen, seen]
    cluster.known = [transaction("a", 1, [T0, T1]), transaction("b", 2, [T0], "PrepareAbort")]
    assert cluster.hanging() == []


def test_what_no_coordinator_knows_hangs(cluster: Cluster) -> None:
    seen = {T0: [producer(1), producer(2)], T1: [producer(1), producer(3)]}
    cluster.open = [seen, seen]
    cluster.known = [
        transaction("a", 1, [T0]),  # it knows nothing of T1
        transaction("b", 2, [T0], "CompleteCommit"),  # this one was ended, but not here
    ]
    assert cluster.hanging() == [
        Open(T0, producer(2)), Open(T1, producer(1)), Open(T1, producer(3)),
    ]  # fmt: skip


def test_what_was_ended_while_coordinators_were_asked_does_not_hang(cluster: Cluster) -> None:
    cluster.open = [
        {T0: [producer(1)], T1: [producer(2, 10)]},
        {T0: [producer(1, -1)], T1: [producer(2, 20)]},  # the second one has begun another one
    ]
    assert cluster.hanging() == []


def test_a_leader_that_does_not_answer_is_told(cluster: Cluster) -> None:
    cluster.open = [{T0: [producer(1)]}]
    cluster.failed = {T1: errors.LeaderNotAvailable("t-1 has no leader now")}
    with pytest.raises(errors.LeaderNotAvailable, match="t-1"):
        cluster.hanging()


def test_a_coordinator_that_does_not_answer_is_told(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> list[Listed]:
        raise errors.CoordinatorLoadInProgress("transactions of broker 2")

    monkeypatch.setattr(hanging, "listed", refuse)
    cluster.open = [{T0: [producer(1)], T1: []}]
    with pytest.raises(errors.CoordinatorLoadInProgress, match="broker 2"):
        cluster.hanging()
