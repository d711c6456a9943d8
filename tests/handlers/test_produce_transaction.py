"""Produce in transactions: asked about, held, appended, refused."""
from __future__ import annotations

import uuid
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import READ_COMMITTED
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.control import EndTransactionMarker
from tests.handlers.bench import ELSEWHERE, Bench, FakeConnection
from tests.handlers.test_produce import Part, Topic, only, produce, said
from tests.storage.logs import batch

PID = 7


def of(sequence: int = 0, *, epoch: int = 0, pid: int = PID, **more: Any) -> memoryview:
    """A batch of a transaction."""
    return batch(
        f"{sequence}", producer_id=pid, producer_epoch=epoch, base_sequence=sequence,
        is_transactional=True, **more,
    )  # fmt: skip


def request(*parts: tuple[int, Any], **how: Any) -> ProduceRequest:
    made = produce(*parts, **how)
    made.transactional_id = "id"
    return made


def mark(bench: Bench, number: int = 0, *, epoch: int = 0, commit: bool = True) -> None:
    marker = EndTransactionMarker(PID, epoch, 0, commit, 1)
    bench.partition("t", number).append_marker(marker, now_ms=bench.timers.now_ms())


@pytest.mark.parametrize(("version", "add"), [(3, False), (9, False), (11, False), (12, True)])
def test_the_coordinator_is_asked_once_for_a_transaction_in_a_partition(
    bench: Bench, version: int, add: bool
) -> None:
    bench.create(partitions=3)
    first = bench.ask(request((0, of()), (1, of()), (2, batch("plain"))), version)
    assert said(first) == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    ((asked, _),) = bench.enlisted
    assert asked == {
        "transactional_id": "id", "producer_id": PID, "producer_epoch": 0, "add": add,
        "partitions": [TopicPartition("t", 0), TopicPartition("t", 1)],
    }  # fmt: skip
    assert said(bench.ask(request((0, of(1)), (1, of(1))), version)) == [(0, 0, 1), (1, 0, 1)]
    assert len(bench.enlisted) == 1, "both are open"
    assert said(bench.ask(request((1, of(2)), (2, of())), version)) == [(1, 0, 2), (2, 0, 1)]
    assert bench.enlisted[1][0]["partitions"] == [TopicPartition("t", 2)]


def test_by_topic_id_too(bench: Bench) -> None:
    topic_id = bench.create()
    assert said(bench.ask(request((0, of()), topic_id=topic_id, topic=""), 13)) == [(0, 0, 0)]
    assert bench.enlisted[0][0]["partitions"] == [TopicPartition("t", 0)]


def test_the_next_transaction_is_asked_about_anew(bench: Bench) -> None:
    bench.create()
    bench.ask(request((0, of())), 11)
    mark(bench)
    assert said(bench.ask(request((0, of(1))), 11)) == [(0, 0, 2)]
    assert len(bench.enlisted) == 2


def test_the_connection_is_held_until_it_is_appended(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 12)
    assert pending.held
    assert slow.partition().log.log_end_offset == 0
    slow.judge()
    assert slow.connection.resumed == 1, "what follows may be appended behind it"
    assert slow.partition().log.log_end_offset == 1
    assert not pending.done
    follower = slow.send(request((0, of(1))), 12)
    assert not follower.held
    slow.flush()
    assert said(pending.response) == [(0, 0, 0)]
    assert said(follower.response) == [(0, 0, 1)]
    assert slow.connection.resumed == 1
    assert slow.timers.waiting == 0


def test_what_is_refused_at_once_lets_the_connection_go(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 12)
    slow.judge(t_0=errors.InvalidProducerIdMapping.code)
    assert said(pending.response) == [(0, errors.InvalidProducerIdMapping.code, -1)]
    assert slow.connection.resumed == 1
    assert slow.partition().log.log_end_offset == 0


@pytest.mark.parametrize(("code", "version", "told"), [
    (errors.ConcurrentTransactions, 11, errors.NotEnoughReplicas),
    (errors.NetworkException, 9, errors.NotEnoughReplicas),
    (errors.NotCoordinator, 12, errors.NotEnoughReplicas),
    (errors.CoordinatorLoadInProgress, 12, errors.NotEnoughReplicas),
    (errors.CoordinatorNotAvailable, 12, errors.NotEnoughReplicas),
    (errors.OperationNotAttempted, 12, errors.NotEnoughReplicas),
    (errors.RequestTimedOut, 12, errors.NotEnoughReplicas),
    (errors.UnknownTopicOrPartition, 12, errors.UnknownTopicOrPartition),
    (errors.ProducerFenced, 12, errors.InvalidProducerEpoch),
    (errors.InvalidProducerEpoch, 9, errors.InvalidProducerEpoch),
    (errors.InvalidTxnState, 12, errors.InvalidTxnState),
    (errors.TransactionAbortable, 10, errors.InvalidTxnState),
    (errors.TransactionAbortable, 11, errors.TransactionAbortable),
    (errors.TransactionAbortable, 12, errors.TransactionAbortable),
    (errors.InvalidProducerIdMapping, 11, errors.InvalidProducerIdMapping),
    (errors.InvalidRequest, 11, errors.InvalidRequest),
])  # fmt: skip
def test_what_a_client_is_told(
    bench: Bench, code: Any, version: int, told: Any
) -> None:
    bench.create(partitions=2)
    bench.verdict = code.code
    response = bench.ask(request((0, of()), (1, batch("plain"))), version)
    assert said(response) == [(0, told.code, -1), (1, 0, 0)], "the plain one is not concerned"
    part = response.responses[0].partition_responses[0]
    assert part.log_start_offset == -1
    if version >= 8:
        assert ":" in part.error_message or ";" in part.error_message, "cause and remedy"
    assert bench.partition().log.log_end_offset == 0


def test_one_partition_of_many_is_refused(slow: Bench) -> None:
    slow.create(partitions=2)
    pending = slow.send(request((0, of()), (1, of())), 11)
    slow.judge(t_1=errors.TransactionAbortable.code)
    slow.flush()
    assert said(pending.response) == [(0, 0, 0), (1, errors.TransactionAbortable.code, -1)]


def test_a_transaction_that_is_being_ended_is_tried_again_for_a_while(slow: Bench) -> None:
    slow.create()
    busy = errors.ConcurrentTransactions.code
    pending = slow.send(request((0, of())), 12)
    for tries in range(1, 6):
        assert len(slow.enlisted) == tries
        slow.judge(t_0=busy)
        slow.timers.advance(19)
        assert len(slow.enlisted) == tries, "not before 20 ms"
        slow.timers.advance(1)
    slow.judge(t_0=busy)
    assert said(pending.response) == [(0, errors.NotEnoughReplicas.code, -1)]
    assert slow.timers.waiting == 0
    again = slow.send(request((0, of())), 12)
    slow.judge(t_0=busy)
    slow.timers.advance(20)
    slow.judge()
    slow.flush()
    assert said(again.response) == [(0, 0, 0)]


def test_a_verification_is_not_tried_again(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 11)
    slow.judge(t_0=errors.ConcurrentTransactions.code)
    assert said(pending.response) == [(0, errors.NotEnoughReplicas.code, -1)]
    assert slow.timers.waiting == 0


def test_an_older_epoch_is_refused_without_asking(bench: Bench) -> None:
    bench.create(partitions=2)
    mark(bench, epoch=3)
    response = bench.ask(request((0, of(epoch=2)), (1, of(epoch=2))), 11)
    assert said(response) == [(0, errors.InvalidProducerEpoch.code, -1), (1, 0, 0)]
    assert bench.enlisted[0][0]["partitions"] == [TopicPartition("t", 1)]
    assert response.responses[0].partition_responses[0].log_start_offset == -1


def test_a_marker_in_between_makes_the_answer_worth_nothing(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 11)
    mark(slow, commit=False)
    slow.judge()
    assert said(pending.response) == [(0, errors.InvalidTxnState.code, -1)]
    assert slow.partition().log.log_end_offset == 1


def test_a_topic_made_anew_in_between_takes_nothing(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 11)
    slow.delete()
    slow.create()
    slow.judge()
    assert said(pending.response) == [(0, errors.InvalidTxnState.code, -1)]


@pytest.mark.parametrize("by_id", [False, True])
def test_a_partition_that_comes_in_between_is_to_be_tried_again(slow: Bench, by_id: bool) -> None:
    """Its topic has just been made, and this broker learns of it while the coordinator is asked."""
    known, fresh = slow.create("t"), uuid.uuid4().bytes
    made = ProduceRequest(
        acks=-1,
        transactional_id="id",
        topic_data=[
            Topic(
                name="" if by_id else name,
                topic_id=topic_id if by_id else bytes(16),
                partition_data=[Part(index=0, records=of())],
            )
            for name, topic_id in (("t", known), ("u", fresh))
        ],
    )
    pending = slow.send(made, 13 if by_id else 12)
    slow.create("u", topic_id=fresh)
    slow.judge()
    slow.flush()
    assert said(pending.response) == [(0, 0, 0), (0, errors.NotLeaderOrFollower.code, -1)]
    assert slow.partition("u").log.log_end_offset == 0


def test_a_leader_lost_in_between_is_told(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 11)
    slow.elect(ELSEWHERE)
    slow.judge()
    assert said(pending.response) == [(0, errors.NotLeaderOrFollower.code, -1)]


def test_a_coordinator_that_fails_is_trouble_as_well(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 11)
    slow.enlisted[0][1].fail(errors.NetworkException("no answer"))
    assert said(pending.response) == [(0, errors.NotEnoughReplicas.code, -1)]
    silent = slow.send(request((0, of())), 11)
    slow.enlisted[1][1].complete({})
    assert said(silent.response) == [(0, errors.NotEnoughReplicas.code, -1)]


def test_without_verification_nobody_is_asked_but_to_add(bench: Bench) -> None:
    bench.broker.config = bench.config.with_dynamic(
        {"transaction.partition.verification.enable": "false"}
    )
    bench.create()
    assert said(bench.ask(request((0, of())), 11)) == [(0, 0, 0)]
    assert not bench.enlisted
    mark(bench)
    assert said(bench.ask(request((0, of(1))), 12)) == [(0, 0, 2)]
    assert len(bench.enlisted) == 1


def test_batches_of_two_producers_are_refused_as_a_whole(bench: Bench) -> None:
    bench.create(partitions=2)
    code = errors.InvalidProducerIdMapping.code
    for other in (of(pid=8), of(epoch=1)):
        response = bench.ask(request((0, of()), (1, other)), 11)
        assert said(response) == [(0, code, -1), (1, code, -1)]
    assert not bench.enlisted
    assert bench.partition().log.log_end_offset == 0


def test_where_there_is_no_partition_nobody_is_asked_about_it(bench: Bench) -> None:
    bench.create()
    bench.create("u", leader=ELSEWHERE)
    topics = [
        Topic(name=name, partition_data=[Part(index=0, records=of())])
        for name in ("nowhere", "u", "__consumer_offsets", "t")
    ]
    response = bench.ask(ProduceRequest(acks=-1, transactional_id="id", topic_data=topics), 12)
    assert [code for _, code, _ in said(response)] == [
        errors.UnknownTopicOrPartition.code, errors.NotLeaderOrFollower.code,
        errors.InvalidTopicException.code, 0,
    ]  # fmt: skip
    assert bench.enlisted[0][0]["partitions"] == [TopicPartition("t", 0)]


def test_damaged_batches_are_refused_for_what_they_are(bench: Bench) -> None:
    bench.create()
    damaged = memoryview(bytearray(of()))
    damaged[-1] ^= 1
    assert said(bench.ask(request((0, damaged)), 9)) == [(0, errors.CorruptMessage.code, -1)]
    cut = of()[:40]
    assert said(bench.ask(request((0, cut)), 9)) == [(0, errors.InvalidRecord.code, -1)]


def test_acks_0_is_never_answered_and_an_error_closes(slow: Bench) -> None:
    slow.create()
    good = slow.send(request((0, of()), acks=0), 11)
    assert good.held
    slow.judge()
    assert good.response is None
    assert slow.partition().log.log_end_offset == 1
    assert slow.connection.resumed == 1
    connection = slow.connect()
    slow.send(request((0, of(epoch=1)), acks=0), 11, connection=connection)
    slow.judge(t_0=errors.ProducerFenced.code)
    assert connection.is_closed
    assert "acks=0 failed" in connection.why


def test_a_client_that_has_gone_is_not_answered(slow: Bench) -> None:
    slow.create()
    pending = slow.send(request((0, of())), 11)
    slow.connection.close("gone")
    slow.judge()
    slow.flush()
    assert not pending.done
    assert slow.timers.waiting == 0


def test_another_connection_is_not_held(slow: Bench) -> None:
    slow.create()
    slow.send(request((0, of())), 11)
    other: FakeConnection = slow.connect()
    plain = slow.send(produce((0, batch("plain"))), 11, connection=other)
    assert not plain.held
    slow.judge()
    slow.flush()
    assert said(plain.response) == [(0, 0, 0)]
    assert other.resumed == 0


def test_a_repeated_first_batch_has_its_old_offset(bench: Bench) -> None:
    bench.create()
    assert said(bench.ask(request((0, of())), 11)) == [(0, 0, 0)]
    assert said(bench.ask(request((0, of())), 11)) == [(0, 0, 0)]
    assert len(bench.enlisted) == 1
    gap = only(bench.ask(request((0, of(5))), 11))
    assert gap.error_code == errors.OutOfOrderSequenceNumber.code
    assert gap.log_start_offset == 0


def test_from_version_12_a_new_producer_begins_at_sequence_0(bench: Bench) -> None:
    bench.create(partitions=2)
    assert only(bench.ask(request((0, of(5))), 11)).error_code == 0
    late = only(bench.ask(request((1, of(5))), 12))
    assert late.error_code == errors.OutOfOrderSequenceNumber.code


def test_a_batch_that_cannot_be_verified_now_comes_first_later(bench: Bench) -> None:
    """A request that fails may not be overtaken by the one behind it."""
    bench.create()
    bench.verdict = errors.NetworkException.code
    assert only(bench.ask(request((0, of(3))), 11)).error_code == errors.NotEnoughReplicas.code
    bench.verdict = 0
    overtaking = only(bench.ask(request((0, of(4))), 11))
    assert overtaking.error_code == errors.OutOfOrderSequenceNumber.code
    assert said(bench.ask(request((0, of(3))), 11)) == [(0, 0, 0)]
    assert said(bench.ask(request((0, of(4))), 11)) == [(0, 0, 1)]


def test_it_is_unstable_until_it_ends(bench: Bench) -> None:
    bench.create()
    bench.append("before")
    bench.ask(request((0, of())), 11)
    bench.append("behind")
    partition = bench.partition()
    assert (partition.high_watermark, partition.last_stable_offset) == (3, 1)
    assert partition.end_for(READ_COMMITTED) == 1
    mark(bench)
    assert partition.last_stable_offset == 4
