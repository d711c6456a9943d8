"""What the group coordinator writes in transactions, into a real log."""
from __future__ import annotations

import pathlib
from typing import Any

import pytest

from fastbroker.errors import (
    InvalidProducerEpoch,
    InvalidTxnState,
    NotLeaderOrFollower,
    RequestTimedOut,
)
from fastbroker.group.transactions import Producer
from fastbroker.handlers.context import OFFSETS_TOPIC
from fastbroker.model import Deferred, TopicPartition
from fastbroker.records.control import EndTransactionMarker, read_marker
from fastbroker.records.reader import iter_batches
from fastbroker.worker.internal_topic import committed_batches
from fastbroker.worker.offsets_topic import OffsetsTopic
from tests.handlers.bench import ELSEWHERE, Bench

PRODUCER = Producer(7, 3)
RECORD = (b"key", b"value")


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    made = Bench(tmp_path, instant=False)
    made.create(OFFSETS_TOPIC, cleanup_policy="compact")
    return made


def batches(bench: Bench) -> list[Any]:
    data = committed_batches(bench.partition(OFFSETS_TOPIC))
    return [batch for chunk in data for batch in iter_batches(chunk)]


def marker(epoch: int, *, commit: bool = True) -> EndTransactionMarker:
    return EndTransactionMarker(PRODUCER.id, epoch, 0, commit, 2)


def test_a_transaction_from_its_first_batch_to_its_marker(bench: Bench) -> None:
    topic = OffsetsTopic(bench.broker).transactions
    guard = topic.begin_verification(0, PRODUCER)
    assert guard is not None
    done = topic.append(0, [RECORD], PRODUCER, guard)
    assert not done.done
    assert topic.begin_verification(0, PRODUCER) is None, "it is open"
    topic.append(0, [RECORD, RECORD], PRODUCER, None)
    ended = topic.append_marker(0, marker(4))
    bench.flush()
    assert done.done
    assert done.error is ended.error is None
    first, second, last = batches(bench)
    for batch in first, second:
        header = batch.header
        assert header.is_transactional
        assert not header.is_control
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 3, -1)
    assert (first.header.count, second.header.count) == (1, 2)
    assert read_marker(last) == marker(4)._replace(transaction_version=0)
    assert topic.begin_verification(0, Producer(7, 4)) is not None


def test_a_batch_that_is_not_verified_is_refused(bench: Bench) -> None:
    topic = OffsetsTopic(bench.broker).transactions
    assert isinstance(topic.append(0, [RECORD], PRODUCER, None).error, InvalidTxnState)
    guard = topic.begin_verification(0, PRODUCER)
    topic.append_marker(0, marker(4, commit=False))
    late = topic.append(0, [RECORD], PRODUCER, guard)
    assert isinstance(late.error, InvalidTxnState), "the transaction was ended meanwhile"


def test_an_older_epoch_is_refused(bench: Bench) -> None:
    topic = OffsetsTopic(bench.broker).transactions
    topic.append(0, [RECORD], PRODUCER, topic.begin_verification(0, PRODUCER))
    older = Producer(7, 2)
    with pytest.raises(InvalidProducerEpoch):
        topic.begin_verification(0, older)
    refused = topic.append(0, [RECORD], older, None).error
    assert isinstance(refused, InvalidProducerEpoch | InvalidTxnState)
    assert isinstance(topic.append_marker(0, marker(2)).error, InvalidProducerEpoch)


def test_elsewhere_it_fails(bench: Bench) -> None:
    topic = OffsetsTopic(bench.broker).transactions
    bench.elect(ELSEWHERE, OFFSETS_TOPIC)
    with pytest.raises(NotLeaderOrFollower):
        topic.begin_verification(0, PRODUCER)
    assert isinstance(topic.append(0, [RECORD], PRODUCER, None).error, NotLeaderOrFollower)
    assert isinstance(topic.append_marker(0, marker(4)).error, NotLeaderOrFollower)


def test_the_brokers_enlist_is_asked_about_the_partition(bench: Bench) -> None:
    asked: list[dict[str, Any]] = []
    codes: list[Deferred[dict[TopicPartition, int]]] = []

    def enlist(**how: Any) -> Deferred[dict[TopicPartition, int]]:
        asked.append(how)
        codes.append(Deferred())
        return codes[-1]

    bench.broker.enlist = enlist  # type: ignore[assignment]
    topic = OffsetsTopic(bench.broker).transactions
    code = topic.enlist(0, "tx", PRODUCER, add=True)
    at = TopicPartition(OFFSETS_TOPIC, 0)
    assert asked == [
        {
            "transactional_id": "tx",
            "producer_id": 7,
            "producer_epoch": 3,
            "partitions": [at],
            "add": True,
        }
    ]
    codes[0].complete({at: 48})
    assert code.result() == 48
    failed = topic.enlist(0, "tx", PRODUCER, add=False)
    codes[1].fail(RequestTimedOut())
    assert isinstance(failed.error, RequestTimedOut)


def test_without_verification_nobody_is_asked_but_to_add(bench: Bench) -> None:
    bench.broker.config = bench.config.with_dynamic(
        {"transaction.partition.verification.enable": "false"}
    )
    topic = OffsetsTopic(bench.broker).transactions
    assert topic.enlist(0, "tx", PRODUCER, add=False).result() == 0
    assert not bench.enlisted
    code = topic.enlist(0, "tx", PRODUCER, add=True)
    bench.judge()
    assert code.result() == 0
