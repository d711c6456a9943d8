"""EndTxn: the decision tables of TV1 and TV2, and what a client is told."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.model import TopicPartition
from fastbroker.txn.state import State
from fastbroker.txn.transaction import Transaction
from tests.txn.bench import Bench, Marker, Producer

CONCURRENT = errors.ConcurrentTransactions.code
FENCED = errors.ProducerFenced.code
INVALID = errors.InvalidTxnState.code
MAPPING = errors.InvalidProducerIdMapping.code

ORDERS = TopicPartition("orders", 0)
AT_REST = (State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT)


def at(state: State, *, epoch: int = 5, version: int = 2, **more: int) -> Transaction:
    prepared = state in (State.PREPARE_COMMIT, State.PREPARE_ABORT)
    return Transaction(
        producer_id=7,
        producer_epoch=epoch,
        last_producer_epoch=epoch - 1,
        timeout_ms=60_000,
        updated_ms=0,
        state=state,
        start_ms=-1 if state is State.EMPTY else 0,
        client_version=version,
        partitions=frozenset({ORDERS}) if prepared or state is State.ONGOING else frozenset(),
        **more,
    )


def test_a_commit() -> None:
    bench = Bench()
    producer = bench.ongoing("t", ("orders", 0), ("orders", 1), ("clicks", 0))
    following = bench.end("t", producer)
    assert following == Producer(producer.id, producer.epoch + 1)
    assert set(bench.brokers.markers) == {("orders", 0), ("orders", 1), ("clicks", 0)}
    for markers in bench.brokers.markers.values():
        assert markers == [Marker(producer.id, following.epoch, True, 1, 2)]
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert bench.kept().partitions == frozenset()
    assert bench.brokers.requests == 1  # one for all partitions of a broker


def test_an_abort() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.end("t", producer, commit=False)
    assert bench.kept().state is State.COMPLETE_ABORT
    assert [m.commit for m in bench.brokers.markers[ORDERS]] == [False]


def test_a_producer_of_tv1_keeps_its_epoch() -> None:
    bench = Bench()
    producer = bench.ongoing()
    assert bench.end("t", producer, version=4) == 0
    assert bench.brokers.markers[ORDERS] == [Marker(producer.id, producer.epoch, True, 1, 0)]
    assert bench.kept().producer_epoch == producer.epoch
    assert bench.add("t", producer, ("orders", 1)) == 0
    assert bench.end("t", producer, commit=False, version=4) == 0
    assert bench.kept().state is State.COMPLETE_ABORT


@pytest.mark.parametrize("version", [0, 1])
def test_tv2_is_spoken_only_where_the_cluster_does(version: int) -> None:
    bench = Bench(version=version)
    producer = bench.ongoing()
    assert bench.end("t", producer) == producer
    assert bench.brokers.markers[ORDERS] == [Marker(producer.id, producer.epoch, True, 1, 0)]


def test_the_client_is_answered_before_the_markers_are_written() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = bench.log.instant = False
    answer = bench.end("t", producer)
    assert not answer.done
    assert bench.brokers.pending == []  # nobody is told of a decision that may be lost
    bench.log.complete()
    assert answer.result() == Producer(producer.id, producer.epoch + 1)
    assert len(bench.brokers.pending) == 1
    bench.brokers.answer()
    assert bench.kept().state is State.PREPARE_COMMIT
    bench.log.complete()
    assert bench.kept().state is State.COMPLETE_COMMIT


TV1 = [
    # state, commit, what is answered; None: the transaction is ended
    (State.EMPTY, True, INVALID),
    (State.EMPTY, False, INVALID),
    (State.ONGOING, True, None),
    (State.ONGOING, False, None),
    (State.PREPARE_COMMIT, True, CONCURRENT),
    (State.PREPARE_COMMIT, False, INVALID),
    (State.PREPARE_ABORT, True, INVALID),
    (State.PREPARE_ABORT, False, CONCURRENT),
    (State.COMPLETE_COMMIT, True, 0),
    (State.COMPLETE_COMMIT, False, INVALID),
    (State.COMPLETE_ABORT, True, INVALID),
    (State.COMPLETE_ABORT, False, 0),
]


@pytest.mark.parametrize(("state", "commit", "answer"), TV1)
def test_the_table_of_tv1(state: State, commit: bool, answer: int | None) -> None:
    bench = Bench()
    bench.brokers.instant = False
    producer = bench.put(at(state, version=0))
    before = bench.kept()
    said = bench.end("t", producer, commit=commit, version=4)
    if answer is None:
        assert said == 0
        assert bench.kept().state is (State.PREPARE_COMMIT if commit else State.PREPARE_ABORT)
    else:
        assert said == answer
        assert bench.kept() is before
    if state is not State.ONGOING:
        return
    for other in (Producer(7, 4), Producer(7, 6)):
        assert bench.end("t", other, commit=commit, version=4) == FENCED
    assert bench.end("t", Producer(8, 5), commit=commit, version=4) == MAPPING


# The producer's epoch, as the distance to the one in force; what is answered: an error code, "same"
# for success with the epoch in force, or the state that follows.
TV2 = [
    (State.EMPTY, 0, True, INVALID),
    (State.EMPTY, 0, False, State.PREPARE_ABORT),
    (State.EMPTY, -1, True, FENCED),
    (State.EMPTY, -1, False, FENCED),
    (State.ONGOING, 0, True, State.PREPARE_COMMIT),
    (State.ONGOING, 0, False, State.PREPARE_ABORT),
    (State.ONGOING, -1, True, FENCED),
    (State.ONGOING, -1, False, FENCED),
    (State.ONGOING, 1, True, FENCED),
    (State.PREPARE_COMMIT, 0, True, FENCED),
    (State.PREPARE_COMMIT, 0, False, FENCED),
    (State.PREPARE_COMMIT, -1, True, CONCURRENT),
    (State.PREPARE_COMMIT, -1, False, INVALID),
    (State.PREPARE_COMMIT, -2, True, FENCED),
    (State.PREPARE_ABORT, 0, True, FENCED),
    (State.PREPARE_ABORT, 0, False, FENCED),
    (State.PREPARE_ABORT, -1, True, INVALID),
    (State.PREPARE_ABORT, -1, False, CONCURRENT),
    (State.PREPARE_ABORT, -2, False, FENCED),
    (State.COMPLETE_COMMIT, 0, True, INVALID),
    (State.COMPLETE_COMMIT, 0, False, State.PREPARE_ABORT),
    (State.COMPLETE_COMMIT, -1, True, "same"),
    (State.COMPLETE_COMMIT, -1, False, INVALID),
    (State.COMPLETE_COMMIT, -2, True, FENCED),
    (State.COMPLETE_COMMIT, 1, True, FENCED),
    (State.COMPLETE_ABORT, 0, True, INVALID),
    (State.COMPLETE_ABORT, 0, False, State.PREPARE_ABORT),
    (State.COMPLETE_ABORT, -1, True, INVALID),
    (State.COMPLETE_ABORT, -1, False, "same"),
    (State.COMPLETE_ABORT, -2, False, FENCED),
]


@pytest.mark.parametrize(("state", "distance", "commit", "answer"), TV2)
def test_the_table_of_tv2(
    state: State, distance: int, commit: bool, answer: int | str | State
) -> None:
    bench = Bench()
    producer = bench.put(at(state))
    bench.brokers.instant = bench.log.instant = False
    before = bench.kept()
    asker = Producer(producer.id, producer.epoch + distance)
    said = bench.end("t", asker, commit=commit)
    if isinstance(answer, State):
        bench.log.complete(1)
        assert said.result() == Producer(7, 6)
        assert bench.kept().state is answer
        assert bench.kept().producer_epoch == 6
    else:
        assert said == (producer if answer == "same" else answer)
        assert bench.kept() is before
    assert bench.end("t", Producer(8, 5), commit=commit) in (MAPPING, CONCURRENT)


@pytest.mark.parametrize("state", AT_REST)
def test_an_abort_of_nothing_needs_no_marker(state: State) -> None:
    bench = Bench()
    producer = bench.put(at(state))
    assert bench.end("t", producer, commit=False) == Producer(7, 6)
    kept = bench.kept()
    assert kept.state is State.COMPLETE_ABORT
    assert kept.start_ms == bench.timers.now_ms()
    assert bench.brokers.requests == 0


@pytest.mark.parametrize("state", [State.COMPLETE_COMMIT, State.COMPLETE_ABORT])
def test_a_producer_of_tv1_is_not_taken_for_a_repeated_one_of_tv2(state: State) -> None:
    bench = Bench()
    bench.put(at(state, version=0))
    assert bench.end("t", Producer(7, 4), commit=state is State.COMPLETE_COMMIT) == FENCED


def test_the_last_epoch_is_followed_by_another_producer_id() -> None:
    bench = Bench()
    last = bench.put(at(State.ONGOING, epoch=32766))
    bench.brokers.instant = False
    following = bench.end("t", last)
    assert following == Producer(1001, 0)
    kept = bench.kept()
    assert (kept.producer_id, kept.producer_epoch, kept.next_producer_id) == (7, 32767, 1001)
    assert bench.end("t", last) == CONCURRENT
    assert bench.end("t", following) == MAPPING
    bench.brokers.answer()
    assert bench.brokers.markers[ORDERS] == [Marker(7, 32767, True, 1, 2)]
    kept = bench.kept()
    assert (kept.producer_id, kept.producer_epoch, kept.previous_producer_id) == (1001, 0, 7)
    assert kept.next_producer_id == -1
    # It did not get the answer.
    assert bench.end("t", last) == following
    assert bench.end("t", last, commit=False) == INVALID
    assert bench.end("t", Producer(7, 32765)) == MAPPING
    assert bench.add("t", following, ("orders", 0)) == 0
    assert bench.end("t", last) == MAPPING
    assert bench.init("t", last) == FENCED


def test_an_abort_of_nothing_with_the_last_epoch() -> None:
    bench = Bench()
    last = bench.put(at(State.COMPLETE_COMMIT, epoch=32766))
    following = bench.end("t", last, commit=False)
    assert following == Producer(1001, 0)
    assert bench.end("t", last, commit=False) == following


def test_no_producer_id_can_be_had() -> None:
    bench = Bench()
    last = bench.put(at(State.ONGOING, epoch=32766))
    bench.allocations = []
    answer = bench.end("t", last)
    bench.allocations[0].fail(errors.CoordinatorLoadInProgress("none"))
    assert answer.result() == errors.CoordinatorLoadInProgress.code
    assert bench.kept().state is State.ONGOING


def test_it_has_ended_while_a_producer_id_was_on_its_way() -> None:
    bench = Bench()
    last = bench.put(at(State.ONGOING, epoch=32766))
    bench.allocations = []
    answers = [bench.end("t", last), bench.end("t", last)]
    bench.give_id(bench.allocations[0])
    bench.give_id(bench.allocations[1])
    assert [one.result() for one in answers] == [Producer(1001, 0), Producer(1001, 0)]


@pytest.mark.parametrize(
    ("version", "code"), [(0, 47), (1, 47), (2, 90), (4, 90), (5, 90)]
)
def test_how_a_fenced_producer_is_told(version: int, code: int) -> None:
    bench = Bench()
    producer = bench.ongoing()
    assert bench.end("t", Producer(producer.id, 9), version=version) == code


@pytest.mark.parametrize("version", [4, 5])
def test_what_there_is_not(version: int) -> None:
    bench = Bench()
    assert bench.end("", Producer(7, 0), version=version) == errors.InvalidRequest.code
    assert bench.end("t", Producer(7, 0), version=version) == MAPPING


@pytest.mark.parametrize("version", [4, 5])
def test_one_at_a_time(version: int) -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.log.instant = False
    answer = bench.add("t", producer, ("orders", 1))
    assert bench.end("t", producer, version=version) == CONCURRENT
    bench.log.complete()
    assert answer.result() == 0
    bench.log.instant = True
    bench.end("t", producer, version=version)
    assert bench.kept().state is State.COMPLETE_COMMIT


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotEnoughReplicas, errors.CoordinatorNotAvailable),
        (errors.RequestTimedOut, errors.CoordinatorNotAvailable),
        (errors.NotLeaderOrFollower, errors.NotCoordinator),
        (errors.KafkaStorageError, errors.NotCoordinator),
        (errors.RecordListTooLarge, errors.UnknownServerError),
    ],
)
def test_a_decision_that_could_not_be_written(
    error: type[errors.KafkaError], code: type[errors.KafkaError]
) -> None:
    bench = Bench()
    producer = bench.ongoing()
    before = bench.kept()
    bench.log.instant = False
    answer = bench.end("t", producer)
    bench.log.fail(error("x"))
    assert answer.result() == code.code
    assert bench.kept() is before
    assert bench.brokers.requests == 0
    bench.log.instant = True
    assert bench.end("t", producer) == Producer(producer.id, 1)


def test_a_completion_that_could_not_be_written_is_written_again() -> None:
    bench = Bench()
    producer = bench.ongoing()
    bench.brokers.instant = False
    bench.end("t", producer)
    bench.log.instant = False
    bench.brokers.answer()
    bench.log.fail(errors.NotEnoughReplicas("x"))
    assert bench.kept().state is State.PREPARE_COMMIT
    assert bench.end("t", producer) == CONCURRENT
    bench.timers.advance(1000)
    bench.log.complete()
    assert bench.kept().state is State.COMPLETE_COMMIT
    assert len(bench.brokers.markers[ORDERS]) == 1
