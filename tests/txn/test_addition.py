"""AddPartitionsToTxn and AddOffsetsToTxn, of clients and of brokers."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.coordination.added_partitions import topics_of
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from fastbroker.txn.state import State
from fastbroker.txn.transaction import Transaction
from tests.txn.bench import Bench, Producer

CONCURRENT = errors.ConcurrentTransactions.code
FENCED = errors.ProducerFenced.code
MAPPING = errors.InvalidProducerIdMapping.code
UNKNOWN = errors.UnknownTopicOrPartition.code
NOT_TRIED = errors.OperationNotAttempted.code
ABORTABLE = errors.TransactionAbortable.code
ORDERS, CLICKS = TopicPartition("orders", 0), TopicPartition("clicks", 3)


def test_the_first_partitions_begin_a_transaction_and_others_join_it() -> None:
    bench = Bench()
    producer = bench.init()
    bench.timers.advance(10)
    assert bench.add("t", producer, ORDERS) == 0
    began = bench.timers.now_ms()
    bench.timers.advance(10)
    assert bench.add("t", producer, CLICKS) == 0
    kept = bench.kept()
    assert (kept.state, kept.partitions) == (State.ONGOING, {ORDERS, CLICKS})
    assert (kept.start_ms, kept.updated_ms) == (began, began + 10)


def test_what_is_in_it_already_is_not_written_again() -> None:
    bench = Bench()
    producer = bench.ongoing("t", ORDERS, CLICKS)
    bench.log.instant = False
    assert bench.add("t", producer, CLICKS) == 0
    assert bench.log.pending == []


@pytest.mark.parametrize("state", [State.COMPLETE_COMMIT, State.COMPLETE_ABORT])
def test_the_next_transaction(state: State) -> None:
    bench = Bench()
    producer = bench.ongoing()
    following = bench.end("t", producer, commit=state is State.COMPLETE_COMMIT)
    bench.timers.advance(10)
    assert bench.enlist("t", following, CLICKS) == 0
    kept = bench.kept()
    assert (kept.state, kept.partitions) == (State.ONGOING, {CLICKS})
    assert kept.start_ms == bench.timers.now_ms()
    assert kept.client_version == 2


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("producer", "code"),
    [(Producer(1001, 1), FENCED), (Producer(1001, 9), FENCED), (Producer(9, 2), MAPPING)],
)
def test_who_may_not(version: int, producer: Producer, code: int) -> None:
    bench = Bench()
    for _ in range(3):
        bench.init()
    told = errors.InvalidProducerEpoch.code if code == FENCED and version < 2 else code
    assert bench.add("t", producer, ORDERS, version=version) == told
    assert bench.offsets("t", producer, version=version) == told
    assert bench.enlist("t", producer, ORDERS) == code
    assert bench.enlist("t", producer, ORDERS, verify=True) == code
    assert bench.kept().state is State.EMPTY


def test_ids_that_there_are_not() -> None:
    bench = Bench()
    for name, code in (("t", MAPPING), ("", errors.InvalidRequest.code)):
        assert bench.add(name, Producer(1, 0), ORDERS) == code
        assert bench.offsets(name, Producer(1, 0)) == code
        assert bench.enlist(name, Producer(1, 0), ORDERS) == code
        assert bench.enlist(name, Producer(1, 0), ORDERS, verify=True) == code


def test_partitions_that_there_are_not_stop_all_of_them() -> None:
    bench = Bench()
    producer = bench.init()
    bench.brokers.gone.add("gone")
    expected = {("gone", 1): UNKNOWN, ORDERS: NOT_TRIED}
    assert bench.add("t", producer, ORDERS, ("gone", 1)) == expected
    assert bench.enlist("t", producer, ORDERS, ("gone", 1)) == expected
    assert bench.enlist("t", producer, ORDERS, ("gone", 1), verify=True) == expected
    assert bench.kept().state is State.EMPTY


def test_offsets_of_a_group() -> None:
    bench = Bench()
    producer = bench.init()
    assert bench.offsets("t", producer, "abc") == 0
    assert bench.kept().partitions == {TopicPartition("__consumer_offsets", 3)}


# Who adds, and how long it waits.
ADDERS = pytest.mark.parametrize(
    ("adder", "within_ms"), [("enlist", 100), ("add", 1_000), ("offsets", 1_000)]
)


def adds(bench: Bench, adder: str, producer: Producer, topic: str) -> Any:
    """A broker's or a client's addition of a partition, or one of a group with that name."""
    if adder == "offsets":
        return bench.offsets("t", producer, topic)
    return getattr(bench, adder)("t", producer, (topic, 0))


def test_a_transaction_that_is_being_completed_is_verified_at_once() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    following = bench.end("t", producer)
    assert bench.enlist("t", following, CLICKS, verify=True) == CONCURRENT


@ADDERS
def test_an_addition_waits_for_another(adder: str, within_ms: int) -> None:
    bench = Bench()
    producer = bench.init()
    bench.log.instant = False
    answers = [adds(bench, adder, producer, "x" * n) for n in (1, 2, 3)]
    bench.log.complete()
    assert [one.done for one in answers] == [True, False, False]
    bench.log.instant = True
    bench.log.complete()
    assert [one.result() for one in answers] == [0, 0, 0]
    assert len(bench.kept().partitions) == 3


@ADDERS
def test_an_addition_waits_for_the_transaction_before(adder: str, within_ms: int) -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    following = bench.end("t", producer)
    answer = adds(bench, adder, following, "clicks")
    bench.timers.advance(within_ms - 10)
    assert not answer.done
    bench.brokers.answer()
    assert answer.result() == 0
    assert len(bench.kept().partitions) == 1
    assert bench.timers.waiting == 0


@ADDERS
def test_an_addition_does_not_wait_for_ever(adder: str, within_ms: int) -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    following = bench.end("t", producer)
    answer = adds(bench, adder, following, "clicks")
    bench.timers.advance(within_ms)
    assert answer.result() == CONCURRENT
    bench.brokers.answer()
    assert bench.kept().state is State.COMPLETE_COMMIT


def test_who_waits_is_told_when_the_partition_moves_or_the_producer_is_fenced() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    following = bench.end("t", producer)
    answers = [bench.enlist("t", following, CLICKS), bench.enlist("t", producer, CLICKS)]
    assert answers[1] == FENCED
    bench.resign()
    assert answers[0].result() == errors.NotCoordinator.code
    assert bench.timers.waiting == 0


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbroker.txn.entry.WAITING_MAX", 1)
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    following = bench.end("t", producer)
    first = bench.enlist("t", following, CLICKS)
    assert bench.enlist("t", following, CLICKS) == CONCURRENT
    bench.timers.advance(100)
    assert first.result() == CONCURRENT
    again = bench.enlist("t", following, CLICKS)  # who has gone leaves room
    bench.brokers.answer()
    assert again.result() == 0


def test_verification() -> None:
    bench = Bench()
    producer = bench.ongoing("t", ORDERS)
    before = bench.kept()
    assert bench.enlist("t", producer, ORDERS, verify=True) == 0
    assert bench.enlist("t", producer, ORDERS, CLICKS, verify=True) == {
        ORDERS: 0, CLICKS: ABORTABLE
    }  # fmt: skip
    assert bench.kept() is before
    bench.log.instant = False
    bench.add("t", producer, CLICKS)
    assert bench.enlist("t", producer, CLICKS, verify=True) == ABORTABLE
    bench.log.complete()
    assert bench.enlist("t", producer, CLICKS, verify=True) == 0


def test_several_transactions_at_once() -> None:
    bench = Bench()
    first, second = bench.ongoing("a"), bench.init("b")
    bench.brokers.gone.add("gone")
    one = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction

    def asked(name: str, producer: Producer, topic: str, verify: bool = False) -> Any:
        return one(
            transactional_id=name,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            verify_only=verify,
            topics=topics_of([TopicPartition(topic, 0)]),
        )

    request = AddPartitionsToTxnRequest(
        transactions=[
            asked("a", first, "orders", verify=True),
            asked("b", second, "gone"),
            asked("c", first, "orders"),
            asked("b", second, "orders"),
        ]
    )
    answer = bench.coordinator.add_partitions_to_txn(request, api_version=5).result()
    assert [
        (
            result.transactional_id,
            result.topic_results[0].results_by_partition[0].partition_error_code,
        )
        for result in answer.results_by_transaction
    ] == [("a", 0), ("b", UNKNOWN), ("c", MAPPING), ("b", 0)]
    empty = bench.coordinator.add_partitions_to_txn(AddPartitionsToTxnRequest(), api_version=5)
    assert not empty.result().results_by_transaction


def test_an_addition_of_tv1_in_a_cluster_of_tv2_says_so() -> None:
    bench = Bench()
    producer = bench.init()
    bench.add("t", producer, ORDERS)
    assert bench.kept().client_version == 0
    bench.enlist("t", producer, CLICKS)
    assert bench.kept().client_version == 2
    bench = Bench(version=1)
    producer = bench.init()
    bench.enlist("t", producer, CLICKS)
    assert bench.kept().client_version == 0


def test_the_values_of_a_transaction_are_checked() -> None:
    with pytest.raises(AssertionError):
        Transaction(producer_id=1, producer_epoch=-1, timeout_ms=1, updated_ms=0)
