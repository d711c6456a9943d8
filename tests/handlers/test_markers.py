"""WriteTxnMarkers and DescribeProducers."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.model import Deferred
from fastbroker.protocol.messages.describe_producers import DescribeProducersRequest
from fastbroker.protocol.messages.write_txn_markers import WriteTxnMarkersRequest
from fastbroker.records.control import EndTransactionMarker
from tests.handlers.bench import ELSEWHERE, Bench, cannot_open
from tests.handlers.test_produce_transaction import PID, of, request
from tests.storage.logs import batch

Marker = WriteTxnMarkersRequest.WritableTxnMarker
OFFSETS = "__consumer_offsets"


def marker(
    *topics: tuple[str, list[int]], pid: int = PID, epoch: int = 0, commit: bool = True,
    by: int = 0, version: int = 1,
) -> Any:  # fmt: skip
    return Marker(
        producer_id=pid, producer_epoch=epoch, transaction_result=commit, coordinator_epoch=by,
        transaction_version=version,
        topics=[
            Marker.WritableTxnMarkerTopic(name=name, partition_indexes=numbers)
            for name, numbers in topics
        ],
    )  # fmt: skip


def markers(*them: Any) -> WriteTxnMarkersRequest:
    return WriteTxnMarkersRequest(markers=list(them))


def said(response: Any) -> dict[tuple[int, str, int], int]:
    """(producer id, topic, partition) -> error code."""
    return {
        (one.producer_id, topic.name, part.partition_index): part.error_code
        for one in response.markers
        for topic in one.topics
        for part in topic.partitions
    }


def producers(bench: Bench, number: int = 0, name: str = "t") -> Any:
    topic = DescribeProducersRequest.TopicRequest(name=name, partition_indexes=[number])
    response = bench.ask(DescribeProducersRequest(topics=[topic]), 0)
    ((part,),) = [one.partitions for one in response.topics]
    return part


def test_it_is_answered_when_all_markers_are_on_disk(slow: Bench) -> None:
    slow.create(partitions=2)
    slow.create("u")
    pending = slow.send(markers(marker(("t", [0, 1]), ("u", [0]))), 1)
    assert not pending.held
    for number in (0, 1):
        partition = slow.partition("t", number)
        job = partition.log.begin_flush()
        assert job is not None
        job.run()
        partition.flushed(job)
        assert not pending.done
    slow.flush()
    assert said(pending.response) == {(PID, "t", 0): 0, (PID, "t", 1): 0, (PID, "u", 0): 0}


def test_a_transaction_is_ended_and_what_was_unstable_is_not(bench: Bench) -> None:
    bench.create()
    bench.ask(request((0, of())), 11)
    assert bench.partition().last_stable_offset == 0
    response = bench.ask(markers(marker(("t", [0]), commit=False)), 1)
    assert said(response) == {(PID, "t", 0): 0}
    partition = bench.partition()
    assert partition.last_stable_offset == 2
    assert partition.aborted_transactions(0, 2) == [(PID, 0, 1, 2)]


def test_markers_of_one_producer_are_answered_together(bench: Bench) -> None:
    bench.create(partitions=2)
    response = bench.ask(
        markers(marker(("t", [0])), marker(("t", [0]), pid=8), marker(("t", [1, 9]))), 1
    )
    assert [one.producer_id for one in response.markers] == [PID, 8]
    assert said(response) == {
        (PID, "t", 0): 0, (8, "t", 0): 0, (PID, "t", 1): 0,
        (PID, "t", 9): errors.UnknownTopicOrPartition.code,
    }  # fmt: skip


def test_nothing_to_write_is_answered_with_nothing(bench: Bench) -> None:
    bench.create()
    for empty in (markers(), markers(marker()), markers(marker(("t", [])))):
        assert bench.ask(empty, 1).markers == []


@pytest.mark.parametrize(("version", "how", "code"), [
    (1, {"epoch": 2}, errors.InvalidProducerEpoch.code),
    (1, {"epoch": 3}, 0),
    (1, {"epoch": 3, "version": 2}, 0),  # version 1 cannot say so
    (2, {"epoch": 3, "version": 1}, 0),
    (2, {"epoch": 3, "version": 2}, errors.InvalidProducerEpoch.code),
    (2, {"epoch": 4, "version": 2}, 0),
    (2, {"epoch": 4, "version": 3}, 0),
    (1, {"epoch": 3, "by": -1}, 0),
    (1, {"epoch": -1}, errors.InvalidRequest.code),
    (2, {"epoch": 3, "version": -1}, errors.InvalidRequest.code),
    (1, {"pid": -1}, errors.InvalidRequest.code),
])  # fmt: skip
def test_epochs(bench: Bench, version: int, how: dict[str, Any], code: int) -> None:
    bench.create()
    bench.ask(request((0, of(epoch=3))), 11)
    asked = how if version >= 2 else {key: how[key] for key in how if key != "version"}
    response = bench.ask(markers(marker(("t", [0]), **asked)), version)
    assert list(said(response).values()) == [code]
    assert bool(bench.partition().log.producers.begun) is (code != 0)


def test_an_older_coordinator_is_fenced(bench: Bench) -> None:
    bench.create()
    assert set(said(bench.ask(markers(marker(("t", [0]), by=5)), 1)).values()) == {0}
    late = bench.ask(markers(marker(("t", [0]), by=4)), 1)
    assert set(said(late).values()) == {errors.TransactionCoordinatorFenced.code}


def test_only_leaders_write(bench: Bench) -> None:
    bench.create()
    bench.create("u", leader=ELSEWHERE)
    bench.elect(ELSEWHERE)
    response = bench.ask(markers(marker(("t", [0]), ("u", [0]), ("nowhere", [0]))), 1)
    assert list(said(response).values()) == [
        errors.NotLeaderOrFollower.code, errors.NotLeaderOrFollower.code,
        errors.UnknownTopicOrPartition.code,
    ]  # fmt: skip


def test_a_lost_leadership_ends_the_wait(slow: Bench) -> None:
    slow.create(partitions=2)
    pending = slow.send(markers(marker(("t", [0, 1]))), 1)
    slow.elect(ELSEWHERE)
    assert not pending.done
    slow.partition("t", 1).fail(OSError(5, "gone"))
    assert list(said(pending.response).values()) == [
        errors.NotLeaderOrFollower.code, errors.KafkaStorageError.code,
    ]  # fmt: skip


def test_the_coordinators_own_topic_holds_no_markers(bench: Bench) -> None:
    bench.create("__transaction_state")
    response = bench.ask(markers(marker(("__transaction_state", [0]))), 1)
    assert list(said(response).values()) == [errors.InvalidTopicException.code]
    assert bench.partition("__transaction_state").log.log_end_offset == 0


class Groups:
    """Ends transactions of offsets when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, EndTransactionMarker, Deferred[None]]] = []
        self.offsets = self

    def complete_transaction(self, number: int, marker: EndTransactionMarker) -> Deferred[None]:
        self.asked.append((number, marker, Deferred()))
        return self.asked[-1][2]

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.mark.parametrize(("error", "code"), [
    (None, 0),
    (errors.NotCoordinator(), errors.NotLeaderOrFollower.code),
    (errors.CoordinatorLoadInProgress(), errors.NotLeaderOrFollower.code),
    (errors.CoordinatorNotAvailable(), errors.NotLeaderOrFollower.code),
    (errors.InvalidProducerEpoch(), errors.InvalidProducerEpoch.code),
    (RuntimeError("a bug"), errors.UnknownServerError.code),
])  # fmt: skip
def test_offsets_of_groups_go_through_their_coordinator(
    bench: Bench, error: Exception | None, code: int
) -> None:
    bench.create()
    bench.create(OFFSETS, partitions=2, cleanup_policy="delete")
    groups: Any = Groups()
    bench.broker.groups = groups
    pending = bench.send(markers(marker(("t", [0]), (OFFSETS, [1]), epoch=3, by=4)), 1)
    ((number, asked, done),) = groups.asked
    assert (number, asked) == (1, (PID, 3, 4, True, 0))
    assert not pending.done
    assert bench.partition(OFFSETS, 1).log.log_end_offset == 0
    if error is None:
        done.complete(None)
    else:
        done.fail(error)
    assert said(pending.response) == {(PID, "t", 0): 0, (PID, OFFSETS, 1): code}


# ---- DescribeProducers


def test_producers_of_a_log_that_cannot_be_opened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create()
    cannot_open(bench, monkeypatch, errors.KafkaStorageError("damaged"))
    answer = producers(bench)
    assert (answer.error_code, answer.error_message) == (errors.KafkaStorageError.code, "damaged")


def test_producers_are_told(bench: Bench) -> None:
    bench.create()
    assert producers(bench).active_producers == []
    bench.append("a", producer_id=5, producer_epoch=1, base_sequence=3)
    bench.ask(request((0, of(2))), 11)
    idle, open_ = producers(bench).active_producers
    assert (idle.producer_id, idle.producer_epoch, idle.last_sequence) == (5, 1, 3)
    assert (idle.coordinator_epoch, idle.current_txn_start_offset) == (-1, -1)
    assert (open_.producer_id, open_.last_sequence, open_.current_txn_start_offset) == (PID, 2, 1)
    bench.ask(markers(marker(("t", [0]), epoch=1, by=6, version=2)), 2)
    ended = producers(bench).active_producers[1]
    assert (ended.producer_epoch, ended.last_sequence) == (1, -1)
    assert (ended.coordinator_epoch, ended.current_txn_start_offset) == (6, -1)
    assert ended.last_timestamp == bench.timers.now_ms()


@pytest.mark.parametrize(("name", "number", "error"), [
    ("t", 9, errors.UnknownTopicOrPartition),
    ("nowhere", 0, errors.UnknownTopicOrPartition),
    ("", 0, errors.InvalidTopicException),
    ("u", 0, errors.NotLeaderOrFollower),
])  # fmt: skip
def test_producers_of_what_is_not_here(bench: Bench, name: str, number: int, error: Any) -> None:
    bench.create()
    bench.create("u", leader=ELSEWHERE)
    part = producers(bench, number, name)
    assert part.error_code == error.code
    assert part.error_message
    assert part.active_producers == []


def test_a_plain_batch_of_a_producer_is_no_transaction(bench: Bench) -> None:
    bench.create()
    bench.ask(request((0, batch("x", producer_id=3, producer_epoch=0, base_sequence=0))), 11)
    (one,) = producers(bench).active_producers
    assert one.current_txn_start_offset == -1
