"""A partition of __transaction_state: reload, recovery, elections, time."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fastbroker import errors
from fastbroker.model import TopicPartition
from fastbroker.protocol.record_frames import decode_value
from fastbroker.protocol.txn_records import TransactionLogValue
from fastbroker.txn.record import read_key, read_value, record
from fastbroker.txn.state import PREVIOUS, State
from fastbroker.txn.transaction import Transaction
from tests.txn.bench import Bench, Marker, Producer

ORDERS, CLICKS = TopicPartition("orders", 0), TopicPartition("clicks", 3)
CONCURRENT = errors.ConcurrentTransactions.code
DAY_MS = 86_400_000


def _empty(bench: Bench) -> None:
    bench.init("t", bench.init())


def _ongoing(bench: Bench) -> None:
    bench.ongoing("t", ORDERS, CLICKS)


def _ongoing_v2(bench: Bench) -> None:
    bench.enlist("t", bench.end("t", bench.ongoing()), CLICKS)


def _prepared(commit: bool, version: int) -> Callable[[Bench], None]:
    def live(bench: Bench) -> None:
        producer = bench.ongoing("t", ORDERS, CLICKS)
        bench.brokers.instant = False
        bench.end("t", producer, commit=commit, version=version)

    return live


def _complete(commit: bool, version: int) -> Callable[[Bench], None]:
    def live(bench: Bench) -> None:
        bench.end("t", bench.ongoing("t", ORDERS), commit=commit, version=version)

    return live


def _overflowing(bench: Bench) -> None:
    bench.init()
    kept = replace(bench.kept(), producer_epoch=32766)
    partition = bench.coordinator.partition_for("t")
    bench.log.append(partition, [record("t", kept, version=2)])
    bench.reload(2)
    producer = Producer(kept.producer_id, 32766)
    bench.enlist("t", producer, ORDERS)
    bench.brokers.instant = False
    bench.end("t", producer)


def _overflown(bench: Bench) -> None:
    _overflowing(bench)
    bench.brokers.answer_all()


def _fenced(bench: Bench) -> None:
    bench.ongoing()
    bench.brokers.instant = False
    bench.init()


LIVES = {
    "empty": _empty,
    "ongoing": _ongoing,
    "ongoing with TV2": _ongoing_v2,
    "fenced": _fenced,
    "overflowing": _overflowing,
    "overflown": _overflown,
} | {
    f"{what} {'commit' if commit else 'abort'} v{version}": make(commit, version)
    for what, make in (("prepared", _prepared), ("complete", _complete))
    for commit in (True, False)
    for version in (4, 5)
}


@pytest.mark.parametrize("live", LIVES.values(), ids=LIVES)
def test_a_reload_finds_what_was_there(live: Callable[[Bench], None]) -> None:
    bench = Bench()
    live(bench)
    before = bench.kept()
    again = Bench(elect=False, log=bench.log)
    again.brokers.instant = False
    again.elect(9)
    assert again.kept() == replace(before, last_producer_epoch=-1)
    again.brokers.answer_all()
    bench.brokers.answer_all()
    after = replace(bench.kept(), last_producer_epoch=-1, updated_ms=0)
    assert replace(again.kept(), last_producer_epoch=-1, updated_ms=0) == after
    # And it goes on in the same way.
    assert again.init() == bench.init()
    again.brokers.answer_all()
    bench.brokers.answer_all()
    again.next_id = bench.next_id
    assert again.init() == bench.init()


@pytest.mark.parametrize("live", LIVES.values(), ids=LIVES)
@pytest.mark.parametrize("version", [0, 1, 2])
def test_every_state_is_a_record(live: Callable[[Bench], None], version: int) -> None:
    bench = Bench()
    live(bench)
    kept = replace(bench.kept(), last_producer_epoch=-1)
    key, value = record("t", kept, version=version)
    assert read_key(key) == "t"
    assert value is not None
    raw = decode_value(value, TransactionLogValue)
    assert (raw.transaction_partitions is None) == (kept.state is State.EMPTY)
    assert value[:2] == (b"\0\1" if version else b"\0\0")
    if not version:
        kept = replace(kept, previous_producer_id=-1, next_producer_id=-1, client_version=0)
    assert read_value(value) == kept


@pytest.mark.parametrize("commit", [True, False])
def test_a_new_coordinator_writes_the_markers_of_what_was_decided(commit: bool) -> None:
    bench = Bench()
    producer = bench.ongoing("t", ORDERS, CLICKS)
    bench.brokers.instant = False
    following = bench.end("t", producer, commit=commit)
    bench.brokers.lose(written=True)  # the old one does not hear of it
    bench.resign()
    bench.timers.advance(5000)
    assert bench.brokers.pending == []
    bench.elect(8)
    assert bench.init() == CONCURRENT
    bench.brokers.answer()
    markers = bench.brokers.markers[ORDERS]
    assert markers == [Marker(producer.id, following.epoch, commit, n, 2) for n in (1, 8)]
    assert bench.kept().state is (State.COMPLETE_COMMIT if commit else State.COMPLETE_ABORT)
    # The client did not get its answer, and asks the new one.
    assert bench.end("t", producer, commit=commit) == following


def test_what_is_answered_after_the_partition_has_moved_is_not_taken() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    bench.end("t", producer)
    bench.resign()
    bench.brokers.answer()
    assert [len(records) for records in bench.log.partitions.values()] == [3]
    bench.elect(2)
    assert bench.kept().state is State.PREPARE_COMMIT


def test_a_write_that_ends_after_the_partition_has_moved() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.log.instant = False
    answer = bench.end("t", producer)
    bench.resign()
    bench.log.complete()
    assert answer.result() == errors.NotCoordinator.code
    assert bench.brokers.requests == 0
    bench.log.instant = True
    bench.elect(2)
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert bench.end("t", producer) == Producer(producer.id, producer.epoch + 1)


def test_a_completion_that_cannot_be_written_is_tried_ever_more_rarely() -> None:
    bench = Bench()
    producer = bench.ongoing("t", ORDERS)
    bench.log.instant = False
    bench.end("t", producer)
    bench.log.complete(1)
    waits = []
    for _ in range(9):
        bench.log.fail(errors.KafkaStorageError("no space"))
        began = bench.timers.at_ms
        while not bench.log.pending:
            bench.timers.advance(100)
        waits.append(bench.timers.at_ms - began)
    assert waits == [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]
    assert bench.kept().state is State.PREPARE_COMMIT
    bench.log.complete()
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert len(bench.brokers.markers[ORDERS]) == 1


def test_a_fence_in_the_log_becomes_an_abort() -> None:
    bench = Bench()
    bench.ongoing()
    fence = replace(bench.kept(), state=State.PREPARE_EPOCH_FENCE, producer_epoch=1)
    partition = bench.coordinator.partition_for("t")
    bench.log.append(partition, [record("t", fence, version=2)])
    bench.reload(2)
    assert bench.kept().state is State.COMPLETE_ABORT
    assert bench.brokers.markers[ORDERS] == [Marker(1001, 1, False, 2, 0)]


def test_a_dead_id_in_the_log_is_none() -> None:
    bench = Bench()
    bench.init()
    dead = replace(bench.kept(), state=State.DEAD)
    partition = bench.coordinator.partition_for("t")
    bench.log.append(partition, [record("t", dead, version=2)])
    bench.reload(2)
    assert bench.describe().error_code == errors.TransactionalIdNotFound.code


def test_records_that_are_none_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.init()
    key, value = record("t", bench.kept(), version=2)
    assert value is not None
    wrong = [
        (b"", value),
        (key, b"\0\x09"),
        (key, value[:-3]),
        (key, record("t", bench.kept(), version=0)[1][:2] + b"\xff" * 40),  # type: ignore[index]
        (b"\0\x07x", value),  # of another kind: without a word
    ]
    bench.log.append(bench.coordinator.partition_for("t"), wrong)
    bench.reload(2)
    assert bench.kept().producer_epoch == 0
    assert caplog.text.count("passed over") == 4


def test_elsewhere_and_while_loading() -> None:
    bench = Bench(elect=False)
    producer = Producer(1, 0)

    def answers() -> set[int]:
        described = bench.describe().error_code
        return {
            bench.init(),
            bench.add("t", producer, ORDERS),
            bench.enlist("t", producer, ORDERS),
            bench.enlist("t", producer, ORDERS, verify=True),
            bench.offsets("t", producer),
            bench.end("t", producer),
            bench.end("t", producer, version=4),
            described,
        }

    assert answers() == {errors.NotCoordinator.code}
    assert bench.list().error_code == 0
    for partition in range(4):
        bench.coordinator.elected(partition, 1, iter([b"", b""]))
    assert answers() == {errors.CoordinatorLoadInProgress.code}
    assert bench.list().error_code == errors.CoordinatorLoadInProgress.code
    bench.timers.advance(100)
    assert bench.init() == Producer(1001, 0)


# Time.


def test_a_transaction_that_is_open_for_too_long_is_aborted() -> None:
    bench = Bench()
    producer = bench.init("t", timeout=5_000)
    bench.add("t", producer, ORDERS)
    bench.timers.advance(5_000)
    bench.coordinator.abort_timed_out(bench.timers.now_ms())
    assert bench.kept().state is State.ONGOING
    bench.timers.advance(1)
    bench.coordinator.abort_timed_out(bench.timers.now_ms())
    assert bench.kept().state is State.COMPLETE_ABORT
    assert bench.brokers.markers[ORDERS] == [Marker(producer.id, 1, False, 1, 2)]
    assert bench.add("t", producer, ORDERS) == errors.ProducerFenced.code
    assert bench.end("t", producer, version=4) == errors.ProducerFenced.code
    assert bench.end("t", producer) == errors.InvalidTxnState.code
    assert bench.end("t", producer, commit=False) == Producer(producer.id, 1)
    assert bench.init() == Producer(producer.id, 2)
    assert bench.end("t", producer, commit=False) == errors.ProducerFenced.code
    assert bench.init("t", producer) == errors.ProducerFenced.code


def test_a_transaction_of_tv1_that_is_open_for_too_long() -> None:
    bench = Bench(version=1)
    producer = bench.init("t", timeout=5_000)
    bench.add("t", producer, ORDERS)
    bench.timers.advance(5_001)
    bench.coordinator.abort_timed_out(bench.timers.now_ms())
    assert bench.brokers.markers[ORDERS] == [Marker(producer.id, 1, False, 1, 0)]
    for commit in (True, False):
        assert bench.end("t", producer, commit=commit, version=4) == errors.ProducerFenced.code
    assert bench.init("t", producer) == errors.ProducerFenced.code
    assert bench.init() == Producer(producer.id, 2)


def test_one_with_the_last_epoch_that_is_open_for_too_long() -> None:
    bench = Bench()
    bench.ongoing()
    last = bench.put(replace(bench.kept(), producer_epoch=32766))
    bench.timers.advance(60_001)
    bench.allocations = []
    bench.coordinator.abort_timed_out(bench.timers.now_ms())
    assert bench.kept().state is State.ONGOING
    bench.give_id(bench.allocations[0])
    assert bench.brokers.markers[ORDERS] == [Marker(last.id, 32767, False, 1, 2)]
    assert bench.kept().producer_id == bench.next_id
    # It was ended by its producer while an id was on its way.
    last = bench.put(replace(bench.kept(), producer_epoch=32766))
    bench.enlist("t", last, ORDERS)
    bench.timers.advance(60_001)
    bench.coordinator.abort_timed_out(bench.timers.now_ms())
    ended = bench.end("t", last)
    bench.give_id(bench.allocations[2])
    assert ended.result() == Producer(bench.next_id, 0)
    bench.give_id(bench.allocations[1])
    assert bench.kept().state is State.COMPLETE_COMMIT


def test_what_is_not_open_does_not_time_out() -> None:
    bench = Bench()
    empty = bench.init("empty", timeout=1)
    complete = bench.init("complete", timeout=1)
    bench.add("complete", complete, ORDERS)
    bench.end("complete", complete)
    bench.brokers.instant = False
    prepared = bench.init("prepared", timeout=1)
    bench.add("prepared", prepared, ORDERS)
    bench.end("prepared", prepared)
    pending = bench.init("pending", timeout=1)
    bench.add("pending", pending, ORDERS)
    bench.log.instant = False
    bench.end("pending", pending)
    bench.timers.advance(1000)
    bench.coordinator.abort_timed_out(bench.timers.now_ms())
    assert len(bench.log.pending) == 1
    assert bench.kept("empty").producer_epoch == empty.epoch


def test_idle_ids_expire() -> None:
    bench = Bench(transactional_id_expiration_ms=DAY_MS)
    bench.init("empty")
    bench.end("committed", bench.ongoing("committed"))
    bench.end("aborted", bench.ongoing("aborted"), commit=False)
    bench.ongoing("open")
    bench.brokers.instant = False
    bench.end("prepared", bench.ongoing("prepared"))
    bench.timers.advance(DAY_MS - 1)
    bench.init("young")
    bench.coordinator.expire(bench.timers.now_ms())
    assert len(bench.list().transaction_states) == 6
    bench.timers.advance(1)
    bench.coordinator.expire(bench.timers.now_ms())
    left = {one.transactional_id for one in bench.list().transaction_states}
    assert left == {"open", "prepared", "young"}
    bench.reload(2)
    assert {one.transactional_id for one in bench.list().transaction_states} == left
    assert bench.end("committed", Producer(1002, 0)) == errors.InvalidProducerIdMapping.code


def test_an_id_is_not_used_while_it_expires() -> None:
    bench = Bench(transactional_id_expiration_ms=DAY_MS)
    bench.init()
    bench.timers.advance(DAY_MS)
    bench.log.instant = False
    bench.coordinator.expire(bench.timers.now_ms())
    assert bench.init() == CONCURRENT
    assert bench.describe().error_code == errors.TransactionalIdNotFound.code
    assert bench.list().transaction_states == []
    bench.coordinator.expire(bench.timers.now_ms())
    assert len(bench.log.pending) == 1
    bench.log.fail(errors.NotEnoughReplicas("x"))
    bench.log.instant = True
    assert bench.init() == Producer(1001, 1)


def test_ids_expire_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbroker.txn.shard.RECORDS_A_WRITE", 3)
    bench = Bench(transaction_state_log_num_partitions=1, transactional_id_expiration_ms=1)
    for n in range(7):
        bench.init(f"t{n}")
    bench.timers.advance(1)
    bench.log.instant = False
    bench.coordinator.expire(bench.timers.now_ms())
    assert [len(write.records) for write in bench.log.pending] == [3, 3, 1]
    bench.log.complete()
    assert bench.list().transaction_states == []


def test_only_transitions_of_the_diagram_are_made() -> None:
    begin = Transaction(producer_id=1, producer_epoch=0, timeout_ms=1, updated_ms=0)
    assert set(PREVIOUS) == set(State)
    for state in (State.PREPARE_COMMIT, State.COMPLETE_ABORT):
        with pytest.raises(AssertionError):
            begin._to(state, 0)
