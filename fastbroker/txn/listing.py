"""DescribeTransactions and ListTransactions: what administrators see of transactions."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from fastbroker.coordination.regex import matcher
from fastbroker.errors import TransactionalIdNotFound
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsResponse
from fastbroker.protocol.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from fastbroker.txn.entry import Entry
from fastbroker.txn.shard import Shard
from fastbroker.txn.state import TITLES

Described = DescribeTransactionsResponse.TransactionState
Listed = ListTransactionsResponse.TransactionState


def is_visible(entry: Entry) -> bool:
    """Neither being made nor being deleted."""
    return entry.kept is not None and entry.pending is not entry.kept


def described(shard: Shard, transactional_id: str) -> Any:
    """The state of one id. Raises TransactionalIdNotFound."""
    entry = shard.entries.get(transactional_id)
    if entry is None or entry.kept is None or not is_visible(entry):
        raise TransactionalIdNotFound(f"there is no transactional id {transactional_id!r}")
    kept = entry.kept
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(entry.unmarked if kept.state.is_prepared else kept.partitions):
        by_topic[topic].append(number)
    return Described(
        transactional_id=transactional_id,
        transaction_state=kept.state.title,
        transaction_timeout_ms=kept.timeout_ms,
        transaction_start_time_ms=kept.start_ms,
        producer_id=kept.producer_id,
        producer_epoch=kept.producer_epoch,
        topics=[
            Described.TopicData(topic=topic, partitions=numbers)
            for topic, numbers in by_topic.items()
        ],
    )


def unknown_states(request: ListTransactionsRequest) -> list[str]:
    """Those of the request's states that there are not."""
    return [state for state in request.state_filters if state not in TITLES]


def listed_by(request: ListTransactionsRequest, now_ms: int) -> Callable[[Entry], list[Any]]:
    """The entry as one of a list; nothing if the filters leave it out.

    A transaction's duration counts from its start, also when it is complete, as in Kafka; the
    pattern is RE2's and has to match the whole id. Raises InvalidRegularExpression.
    """
    states, producer_ids = set(request.state_filters), set(request.producer_id_filters)
    pattern = request.transactional_id_pattern
    matches = matcher(pattern, what="the transactional id pattern") if pattern else None

    def listed(entry: Entry) -> list[Any]:
        kept = entry.kept
        if kept is None or not is_visible(entry):
            return []
        if states and kept.state.title not in states:
            return []
        if producer_ids and kept.producer_id not in producer_ids:
            return []
        if request.duration_filter >= 0 and now_ms - kept.start_ms <= request.duration_filter:
            return []
        if matches is not None and not matches(entry.transactional_id):
            return []
        return [
            Listed(
                transactional_id=entry.transactional_id,
                producer_id=kept.producer_id,
                transaction_state=kept.state.title,
            )
        ]

    return listed

