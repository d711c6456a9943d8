"""InitProducerId: epochs, fencing, exhausted epochs, and what stands in the way."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.txn.state import State
from fastbroker.txn.transaction import Transaction
from tests.txn.bench import Bench, Marker, Producer

CONCURRENT = errors.ConcurrentTransactions.code
FENCED = errors.ProducerFenced.code
MAPPING = errors.InvalidProducerIdMapping.code


def at(epoch: int, state: State = State.EMPTY, **more: int) -> Transaction:
    return Transaction(
        producer_id=7, producer_epoch=epoch, timeout_ms=60_000, updated_ms=0, state=state,
        start_ms=-1 if state is State.EMPTY else 0, **more,
    )  # fmt: skip


def test_a_new_id_begins_with_epoch_0_and_every_further_one_is_the_next() -> None:
    bench = Bench()
    assert [bench.init() for _ in range(3)] == [Producer(1001, n) for n in range(3)]
    assert bench.init("other") == Producer(1002, 0)


def test_an_id_that_no_record_has_room_for_is_refused() -> None:
    bench = Bench()
    assert bench.init("t" * 40_000) == errors.InvalidRequest.code
    assert bench.init("\u20ac" * 10_922) == Producer(1001, 0), "32766 bytes"


def test_without_a_transactional_id_every_producer_is_a_new_one() -> None:
    bench = Bench()
    assert bench.init(None) == Producer(1001, 0)
    assert bench.init(None, Producer(1001, 0)) == Producer(1002, 0)
    assert bench.init(None, Producer(1001, -1)) == errors.InvalidRequest.code


@pytest.mark.parametrize(
    ("name", "producer", "timeout", "code"),
    [
        ("", Producer(-1, -1), 60_000, errors.InvalidRequest.code),
        ("", Producer(-1, -1), 0, errors.InvalidRequest.code),
        ("t", Producer(5, -1), 60_000, errors.InvalidRequest.code),
        ("t", Producer(-1, 5), 60_000, errors.InvalidRequest.code),
        ("t", Producer(-1, -1), 0, errors.InvalidTransactionTimeout.code),
        ("t", Producer(-1, -1), -1, errors.InvalidTransactionTimeout.code),
        ("t", Producer(-1, -1), 900_001, errors.InvalidTransactionTimeout.code),
        ("t", Producer(-1, -1), 900_000, Producer(1001, 0)),
    ],
)
def test_what_is_refused(name: str, producer: Producer, timeout: int, code: object) -> None:
    assert Bench().init(name, producer, timeout=timeout) == code


def test_a_producer_that_shows_what_it_has_gets_the_next_epoch() -> None:
    bench = Bench()
    first = bench.init()
    second = bench.init("t", first)
    assert second == Producer(1001, 1)
    # It did not get the answer, and asks again with what it had.
    assert bench.init("t", first) == second
    assert bench.init("t", first) == second
    # Somebody else came without anything: the one before is fenced.
    third = bench.init()
    assert third == Producer(1001, 2)
    assert bench.init("t", second) == FENCED
    assert bench.init("t", first) == FENCED
    assert bench.init("t", Producer(9, 2)) == FENCED
    assert bench.init("t", third) == Producer(1001, 3)


def test_a_producer_with_an_id_that_has_expired_gets_a_new_one() -> None:
    assert Bench().init("t", Producer(5, 3)) == Producer(1001, 0)


@pytest.mark.parametrize(("version", "code"), [(3, 47), (4, 90), (5, 90)])
def test_how_a_fenced_producer_is_told(version: int, code: int) -> None:
    bench = Bench()
    bench.init()
    bench.init()
    assert bench.init("t", Producer(1001, 0), version=version) == code


@pytest.mark.parametrize("version", [0, 1, 2])
def test_an_open_transaction_is_fenced_and_aborted(version: int) -> None:
    bench = Bench(version=version)
    old = bench.ongoing("t", ("orders", 0), ("orders", 1))
    assert bench.init() == CONCURRENT
    assert bench.kept().state is State.COMPLETE_ABORT
    (marker,) = bench.brokers.markers["orders", 1]  # type: ignore[index]
    tv = 2 if version == 2 else 0
    assert marker == Marker(old.id, old.epoch + 1, False, 1, tv)
    assert bench.init() == Producer(1001, old.epoch + 2)
    assert bench.add("t", old, ("orders", 0)) == FENCED
    assert bench.end("t", old) == bench.end("t", old, version=4) == FENCED


def test_a_fenced_producer_that_aborts_itself_goes_on_until_somebody_has_the_next_epoch() -> None:
    bench = Bench()
    old = bench.ongoing()
    assert bench.init() == CONCURRENT
    assert bench.end("t", old) == errors.InvalidTxnState.code
    following = bench.end("t", old, commit=False)
    assert following == Producer(old.id, old.epoch + 1)
    assert bench.enlist("t", following, ("orders", 0)) == 0
    assert bench.init() == CONCURRENT
    assert bench.init() == Producer(old.id, old.epoch + 3)
    for zombie in (old, following):
        assert bench.enlist("t", zombie, ("orders", 0)) == FENCED
        assert bench.end("t", zombie, commit=False) == FENCED
        assert bench.init("t", zombie) == FENCED


def test_a_transaction_being_completed_is_waited_for() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    bench.end("t", producer)
    assert bench.kept().state is State.PREPARE_COMMIT
    assert bench.init() == CONCURRENT
    bench.brokers.answer()
    assert bench.init() == Producer(1001, 2)


def test_one_at_a_time() -> None:
    bench = Bench()
    bench.log.instant = False
    first = bench.init()
    assert bench.init() == CONCURRENT
    assert bench.add("t", Producer(1001, 0), ("orders", 0)) == MAPPING
    assert bench.list().transaction_states == []
    assert bench.describe().error_code == errors.TransactionalIdNotFound.code
    bench.log.complete()
    assert first.result() == Producer(1001, 0)


def test_two_that_wait_for_a_producer_id() -> None:
    bench = Bench()
    bench.allocations = []
    first, second = bench.init(), bench.init()
    bench.give_id(bench.allocations[1])
    bench.give_id(bench.allocations[0])
    assert second.result() == Producer(1001, 0)
    assert first.result() == Producer(1001, 1)


def test_no_producer_id_can_be_had() -> None:
    bench = Bench()
    bench.allocations = []
    answer = bench.init()
    bench.allocations[0].fail(errors.CoordinatorLoadInProgress("none"))
    assert answer.result() == errors.CoordinatorLoadInProgress.code
    bench.allocations = None
    assert bench.init() == Producer(1001, 0)


def test_it_is_not_made_when_it_cannot_be_written() -> None:
    bench = Bench()
    bench.log.instant = False
    answer = bench.init()
    bench.log.fail(errors.NotEnoughReplicas("x"))
    assert answer.result() == errors.CoordinatorNotAvailable.code
    bench.log.instant = True
    assert bench.init() == Producer(1002, 0)


def test_used_up_epochs_are_followed_by_a_new_producer_id() -> None:
    bench = Bench()
    bench.put(at(32766))
    assert bench.init() == Producer(1001, 0)
    # The owner of the last epoch is fenced: it did not show it.
    assert bench.init("t", Producer(7, 32766)) == FENCED


def test_used_up_epochs_of_a_producer_that_shows_them() -> None:
    bench = Bench()
    last = bench.put(at(32766))
    following = bench.init("t", last)
    assert following == Producer(1001, 0)
    assert bench.init("t", last) == following  # it did not get the answer
    assert bench.init("t", Producer(7, 32765)) == FENCED
    assert bench.init("t", following) == Producer(1001, 1)
    assert bench.init("t", last) == FENCED


def test_the_epoch_before_the_last() -> None:
    bench = Bench()
    before = bench.put(at(32765))
    last = bench.init("t", before)
    assert last == Producer(7, 32766)
    assert bench.init("t", before) == last
    assert bench.init("t", Producer(7, 12)) == FENCED
    assert bench.init("t", last) == Producer(1001, 0)


@pytest.mark.parametrize("epoch", [32764, 32765, 32766])
def test_fencing_with_the_last_epochs_of_tv1(epoch: int) -> None:
    bench = Bench(version=0)
    old = bench.put(at(epoch, State.ONGOING))
    assert bench.init() == CONCURRENT
    assert bench.kept().state is State.COMPLETE_ABORT
    assert bench.kept().producer_epoch == epoch + 1
    # Whatever the fenced one tries, it is not taken for the owner.
    for commit in (True, False):
        assert bench.end("t", old, commit=commit) == FENCED
        assert bench.end("t", Producer(7, 32767), commit=commit) == FENCED
        assert bench.end("t", old, commit=commit, version=4) == FENCED
    assert bench.add("t", Producer(7, 32767), ("orders", 0)) == FENCED
    following = bench.init()
    assert following in (Producer(7, 32766), Producer(1001, 0))
    assert bench.add("t", following, ("orders", 0)) == 0


@pytest.mark.parametrize(
    ("epoch", "marked", "following"),
    [
        (32764, 32765, Producer(7, 32766)),
        (32765, 32766, Producer(1001, 0)),
        (32766, 32767, Producer(1001, 1)),  # it went on with 1001 itself
    ],
)
def test_fencing_with_the_last_epochs_of_tv2(
    epoch: int, marked: int, following: Producer
) -> None:
    bench = Bench()
    partition = ("orders", 0)
    old = bench.put(at(epoch, State.EMPTY))
    assert bench.enlist("t", old, partition) == 0
    assert bench.init() == CONCURRENT
    assert [m.producer_epoch for m in bench.brokers.markers[partition]] == [marked]  # type: ignore[index]
    assert bench.init() == following
    for commit in (True, False):
        assert bench.end("t", old, commit=commit) in (FENCED, MAPPING)
    assert bench.enlist("t", old, partition) in (FENCED, MAPPING)
    assert bench.enlist("t", following, partition) == 0
