"""AddPartitionsToTxn: what is asked, whether it may be, and the answer in the request's version."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from fastbroker.errors import ConcurrentTransactions
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
)
from fastbroker.txn.end import check_owner
from fastbroker.txn.transaction import Transaction

Codes = dict[TopicPartition, int]  # an error code for each partition
SEVERAL_SINCE = 4
AskedTransaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
Result = AddPartitionsToTxnResponse.AddPartitionsToTxnResult


class Asked(NamedTuple):
    """One transaction's part of a request. verify_only: are the partitions in it already?"""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    partitions: tuple[TopicPartition, ...]
    verify_only: bool


def asked(request: AddPartitionsToTxnRequest, api_version: int) -> list[Asked]:
    """The transactions of a request; before version 4 there is one."""
    if api_version >= SEVERAL_SINCE:
        return [
            Asked(
                one.transactional_id,
                one.producer_id,
                one.producer_epoch,
                _partitions(one.topics),
                one.verify_only,
            )
            for one in request.transactions
        ]
    return [
        Asked(
            request.v3_and_below_transactional_id,
            request.v3_and_below_producer_id,
            request.v3_and_below_producer_epoch,
            _partitions(request.v3_and_below_topics),
            False,
        )
    ]


def check(kept: Transaction, producer_id: int, producer_epoch: int) -> None:
    """Raise InvalidProducerIdMapping, ProducerFenced, ConcurrentTransactions."""
    check_owner(kept, producer_id, producer_epoch)
    if kept.state.is_prepared:
        raise ConcurrentTransactions("the transaction before is being completed: try again")


def response(results: Iterable[tuple[Asked, Codes]], api_version: int) -> Any:
    """The answer."""
    if api_version < SEVERAL_SINCE:
        ((one, codes),) = results
        return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=_topics(one, codes))
    return AddPartitionsToTxnResponse(
        results_by_transaction=[
            Result(transactional_id=one.transactional_id, topic_results=_topics(one, codes))
            for one, codes in results
        ]
    )


def _partitions(topics: Iterable[AddPartitionsToTxnTopic]) -> tuple[TopicPartition, ...]:
    return tuple(TopicPartition(one.name, n) for one in topics for n in one.partitions)


def _topics(one: Asked, codes: Codes) -> list[AddPartitionsToTxnTopicResult]:
    by_topic: dict[str, list[AddPartitionsToTxnPartitionResult]] = defaultdict(list)
    for partition in one.partitions:  # what is asked for twice is answered twice
        (topic, number), code = partition, codes[partition]
        by_topic[topic].append(
            AddPartitionsToTxnPartitionResult(partition_index=number, partition_error_code=code)
        )
    return [
        AddPartitionsToTxnTopicResult(name=topic, results_by_partition=results)
        for topic, results in by_topic.items()
    ]
