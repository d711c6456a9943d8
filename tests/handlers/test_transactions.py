"""Transactional ids, through the dispatch of a listener; tests/txn has what is decided."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.coordination.added_partitions import topics_of
from fastbroker.handlers.context import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from fastbroker.protocol.messages.end_txn import EndTxnRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.list_transactions import ListTransactionsRequest
from tests.handlers.bench import ELSEWHERE, ME, Bench


def request(transactional_id: str | None = None, **fields: Any) -> InitProducerIdRequest:
    return InitProducerIdRequest(
        transactional_id=transactional_id, transaction_timeout_ms=1000, **fields
    )


@pytest.mark.parametrize("version", range(6))
def test_a_fresh_id_with_epoch_0(bench: Bench, version: int) -> None:
    found = [bench.ask(request(), version) for _ in range(2)]
    assert [(one.error_code, one.producer_id, one.producer_epoch) for one in found] == [
        (0, 1001, 0), (0, 1002, 0),
    ]  # fmt: skip


def test_a_producer_that_has_one_gets_another(bench: Bench) -> None:
    assert bench.ask(request(producer_id=7, producer_epoch=3), 4).producer_id == 1001


def test_it_waits_for_the_controller(slow: Bench) -> None:
    pending = slow.send(request(), 4)
    assert pending.held
    slow.producer_ids[0].complete(77)
    assert pending.response.producer_id == 77


def test_without_ids_the_producer_is_told_to_come_again(slow: Bench) -> None:
    pending = slow.send(request(), 4)
    slow.producer_ids[0].fail(errors.CoordinatorLoadInProgress("no ids"))
    response = pending.response
    assert response.error_code == errors.CoordinatorLoadInProgress.code
    assert (response.producer_id, response.producer_epoch) == (-1, -1)


@pytest.mark.parametrize(("asked", "error"), [
    (request(producer_id=7), errors.InvalidRequest),
    (request(producer_epoch=7), errors.InvalidRequest),
    (request(""), errors.InvalidRequest),
    (request("tx"), errors.NotCoordinator),
])  # fmt: skip
def test_what_is_refused(bench: Bench, asked: InitProducerIdRequest, error: Any) -> None:
    response = bench.ask(asked, 4)
    assert (response.error_code, response.producer_id) == (error.code, -1)
    assert not bench.producer_ids


@pytest.fixture
def led(bench: Bench) -> Bench:
    """__transaction_state is there, led by this broker, and a topic."""
    bench.create(TRANSACTIONS_TOPIC, partitions=3)
    bench.create("orders", partitions=2)
    return bench


ORDERS = [TopicPartition("orders", 0), TopicPartition("orders", 1)]


def test_the_life_of_a_transaction(led: Bench) -> None:
    begun = led.ask(request("tx"), 5)
    assert (begun.error_code, begun.producer_id, begun.producer_epoch) == (0, 1001, 0)
    owner = {"producer_id": 1001, "producer_epoch": 0}
    added = led.ask(
        AddPartitionsToTxnRequest(
            v3_and_below_transactional_id="tx",
            v3_and_below_producer_id=1001,
            v3_and_below_producer_epoch=0,
            v3_and_below_topics=topics_of(ORDERS),
        ),
        3,
    )
    (topic,) = added.results_by_topic_v3_and_below
    assert [one.partition_error_code for one in topic.results_by_partition] == [0, 0]
    asked = AddOffsetsToTxnRequest(transactional_id="tx", group_id="g", **owner)
    assert led.ask(asked, 4).error_code == 0
    described = led.ask(DescribeTransactionsRequest(transactional_ids=["tx", "ty"]), 0)
    states = {s.transactional_id: s for s in described.transaction_states}
    assert states["tx"].transaction_state == "Ongoing"
    assert [topic.topic for topic in states["tx"].topics] == [OFFSETS_TOPIC, "orders"]
    assert states["ty"].error_code == errors.TransactionalIdNotFound.code
    ended = led.ask(EndTxnRequest(transactional_id="tx", committed=True, **owner), 4)
    assert ended.error_code == 0
    ((to, markers),) = led.markers  # and none for __consumer_offsets, which is not there
    assert to == 1
    (marker,) = markers.markers
    assert (marker.producer_id, marker.transaction_result) == (1001, True)
    assert [topic.partition_indexes for topic in marker.topics] == [[0, 1]]
    listed = led.ask(ListTransactionsRequest(state_filters=["PrepareCommit"]), 2)
    assert [one.transactional_id for one in listed.transaction_states] == ["tx"]


def test_brokers_add_to_several_transactions(led: Bench) -> None:
    led.ask(request("tx"), 5)
    one = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
    answer = led.ask(
        AddPartitionsToTxnRequest(
            transactions=[
                one(
                    transactional_id=name, producer_id=1001, producer_epoch=0, verify_only=False,
                    topics=topics_of(ORDERS[:1]),
                )
                for name in ("tx", "ty")
            ]
        ),
        5,
    )  # fmt: skip
    assert answer.error_code == 0
    assert [
        [p.partition_error_code for t in result.topic_results for p in t.results_by_partition]
        for result in answer.results_by_transaction
    ] == [[0], [errors.InvalidProducerIdMapping.code]]


def test_a_coordinator_that_moves(led: Bench) -> None:
    led.ask(request("tx"), 5)
    number = led.broker.transactions.partition_for("tx")
    led.elect(ELSEWHERE, TRANSACTIONS_TOPIC, number)
    assert led.ask(request("tx"), 5).error_code == errors.NotCoordinator.code
    led.elect(ME, TRANSACTIONS_TOPIC, number)
    assert led.ask(request("tx"), 5).producer_epoch == 1
