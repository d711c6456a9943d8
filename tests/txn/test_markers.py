"""Markers: batches, leaders that move, brokers that do not answer, partitions that are gone."""
from __future__ import annotations

import logging

import pytest

from fastbroker import errors
from fastbroker.log_rate import BURST
from fastbroker.model import TopicPartition
from fastbroker.txn import markers
from fastbroker.txn.state import State
from tests.txn.bench import Bench

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.brokers.instant = False
    return made


def ended(bench: Bench, name: str, *partitions: tuple[str, int]) -> None:
    bench.end(name, bench.ongoing(name, *partitions))


def partitions_asked(bench: Bench, at: int = -1) -> list[tuple[str, int]]:
    return [
        (topic.name, number)
        for marker in bench.brokers.pending[at].request.markers
        for topic in marker.topics
        for number in topic.partition_indexes
    ]


def test_each_leader_is_asked_once(bench: Bench) -> None:
    bench.brokers.leaders.update({A0: 1, A1: 2, B0: 1})
    ended(bench, "t", A0, A1, B0)
    asked = {one.broker: partitions_asked(bench, n) for n, one in enumerate(bench.brokers.pending)}
    assert asked == {1: [A0, B0], 2: [A1]}
    bench.brokers.answer()
    assert bench.kept().state is State.PREPARE_COMMIT
    assert [topic.topic for topic in bench.describe().topics] in (["a"], ["a", "b"])
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert bench.coordinator.markers.waiting == 0


def test_what_is_decided_meanwhile_goes_together(bench: Bench) -> None:
    ended(bench, "first", A0)
    for name in ("second", "third"):
        ended(bench, name, A0, B0)
    assert len(bench.brokers.pending) == 1
    bench.brokers.answer()
    assert len(bench.brokers.pending[0].request.markers) == 2
    bench.brokers.answer()
    assert bench.kept("third").state is State.COMPLETE_COMMIT


def test_a_request_holds_only_so_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers, "PARTITIONS_A_REQUEST", 2)
    for n in range(6):
        ended(bench, f"t{n}", A0)
    sizes = []
    while bench.brokers.pending:
        sizes.append(len(bench.brokers.pending[0].request.markers))
        bench.brokers.answer()
    assert sizes == [1, 2, 2, 1]


def test_a_transaction_of_many_partitions_is_several_requests(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markers, "PARTITIONS_A_REQUEST", 4)
    many = [("a", n) for n in range(10)]
    ended(bench, "t", *many)
    ended(bench, "u", B0)
    asked = []
    while bench.brokers.pending:
        asked.append(len(partitions_asked(bench, 0)))
        bench.brokers.answer()
    assert asked == [4, 4, 3]
    assert all(len(bench.brokers.markers[TopicPartition(*at)]) == 1 for at in [*many, B0])
    assert bench.kept("t").state is bench.kept("u").state is State.COMPLETE_COMMIT


@pytest.mark.parametrize("written", [True, False])
def test_an_answer_that_does_not_come_is_waited_for_no_longer(bench: Bench, written: bool) -> None:
    ended(bench, "t", A0, B0)
    bench.brokers.lose(written=written)
    assert bench.brokers.pending == []
    bench.timers.advance(markers.RETRY_FIRST_MS)
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert len(bench.brokers.markers[A0]) == 1 + written


@pytest.mark.parametrize(
    "error",
    [
        errors.NotLeaderOrFollower, errors.UnknownTopicOrPartition, errors.KafkaStorageError,
        errors.NotEnoughReplicas, errors.NotEnoughReplicasAfterAppend, errors.RequestTimedOut,
        errors.CoordinatorLoadInProgress, errors.NotCoordinator, errors.UnknownServerError,
    ],
)  # fmt: skip
def test_a_partition_that_cannot_now_is_tried_again(
    bench: Bench, error: type[errors.KafkaError]
) -> None:
    bench.brokers.codes[A0] = error.code
    ended(bench, "t", A0, B0)
    bench.brokers.answer()
    for _ in range(3):
        bench.timers.advance(markers.RETRY_MAX_MS)
        assert partitions_asked(bench) == [A0]
        bench.brokers.answer()
    assert bench.kept().state is State.PREPARE_COMMIT
    del bench.brokers.codes[A0]
    bench.timers.advance(markers.RETRY_MAX_MS)
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert len(bench.brokers.markers[B0]) == 1


def test_the_waits_grow_up_to_a_limit_and_begin_anew(bench: Bench) -> None:
    bench.brokers.codes[A0] = errors.NotEnoughReplicas.code
    ended(bench, "t", A0)
    waits = []
    for _ in range(9):
        bench.brokers.answer()
        began = bench.timers.at_ms
        while not bench.brokers.pending:
            bench.timers.advance(1)
        waits.append(bench.timers.at_ms - began)
    assert waits == [20, 40, 80, 160, 320, 640, 1000, 1000, 1000]
    del bench.brokers.codes[A0]
    bench.brokers.answer()
    bench.brokers.codes[A0] = errors.NotEnoughReplicas.code
    ended(bench, "u", A0)
    bench.brokers.answer()
    bench.timers.advance(20)
    assert len(bench.brokers.pending) == 1


def test_a_leader_that_moves_is_followed(bench: Bench) -> None:
    ended(bench, "t", A0)
    bench.brokers.leaders[A0] = 2
    bench.brokers.answer()
    bench.timers.advance(20)
    assert bench.brokers.pending[0].broker == 2
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT


def test_a_partition_without_a_leader_is_waited_for(bench: Bench) -> None:
    bench.brokers.leaders[A0] = -1
    ended(bench, "t", A0, B0)
    bench.brokers.answer()
    bench.timers.advance(60_000)
    assert bench.brokers.pending == []
    bench.brokers.leaders[A0] = 1
    bench.timers.advance(1000)
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT


def test_a_partition_that_is_gone_needs_none(bench: Bench) -> None:
    producer = bench.ongoing("t", A0, B0)
    bench.brokers.gone.add("a")
    bench.end("t", producer)
    assert partitions_asked(bench) == [B0]
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT


def test_a_topic_that_is_gone_has_few_lines(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    producer = bench.ongoing("t", *(("a", n) for n in range(1_000)))
    bench.brokers.gone.add("a")
    with caplog.at_level(logging.INFO, "tests.txn"):
        bench.end("t", producer)
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert 0 < len(caplog.records) <= BURST


def test_a_partition_that_goes_meanwhile_needs_none(bench: Bench) -> None:
    ended(bench, "t", A0)
    bench.brokers.gone.add("a")
    bench.brokers.answer()
    bench.timers.advance(20)
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert bench.brokers.markers[A0] == []


def test_when_all_are_gone_it_is_complete(bench: Bench) -> None:
    producer = bench.ongoing("t", A0, B0)
    bench.brokers.gone.update("ab")
    bench.end("t", producer)
    assert bench.kept().state is State.COMPLETE_COMMIT


@pytest.mark.parametrize(
    "error", [errors.UnsupportedForMessageFormat, errors.UnsupportedVersion]
)
def test_a_partition_that_can_hold_no_transaction_needs_none(
    bench: Bench, error: type[errors.KafkaError]
) -> None:
    bench.brokers.codes[A0] = error.code
    ended(bench, "t", A0)
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT


@pytest.mark.parametrize(
    "error", [errors.InvalidProducerEpoch, errors.TransactionCoordinatorFenced]
)
def test_a_partition_that_knows_somebody_newer_ends_it(
    bench: Bench, error: type[errors.KafkaError], caplog: pytest.LogCaptureFixture
) -> None:
    bench.brokers.codes[A0] = error.code
    ended(bench, "t", A0, B0)
    bench.brokers.answer()
    bench.timers.advance(60_000)
    assert bench.brokers.pending == []
    assert bench.kept().state is State.PREPARE_COMMIT
    assert bench.coordinator.markers.waiting == 0
    assert "somebody newer" in caplog.text
    # Whoever leads next tries again.
    del bench.brokers.codes[A0]
    bench.reload(2)
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT
