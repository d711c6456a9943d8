"""Asks coordinators for transactions, and leaders for producers with an open one."""
from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from fastbroker import errors
from fastbroker.cli.client import TRANSACTION, Client, check
from fastbroker.cli.coordinators import answers
from fastbroker.cli.leaders import Asked, Found, Leaders
from fastbroker.cli.output import Failure
from fastbroker.cli.txn.transaction import Producer, Transaction, of_answer
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.describe_producers import DescribeProducersRequest
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from fastbroker.protocol.messages.list_transactions import ListTransactionsRequest


class Listed(NamedTuple):
    """A transactional id of a list."""

    transactional_id: str
    state: str
    coordinator: int
    producer_id: int


def listed(
    client: Client, *, states: Sequence[str] = (), producer_ids: Sequence[int] = ()
) -> list[Listed]:
    """The transactional ids of all coordinators, by name; of these states and producers only.

    Raises KafkaError, Failure, as when one coordinator does not answer.
    """
    request = ListTransactionsRequest(
        state_filters=list(states), producer_id_filters=list(producer_ids)
    )
    found: dict[str, Listed] = {}
    for node in client.attempt(client.brokers):

        def ask(node: int = node) -> list[Any]:
            response = client.call(request, node=node)
            check(response.error_code, where=f"transactions of broker {node}")
            transactions: list[Any] = response.transaction_states
            return transactions

        for one in client.attempt(ask):
            name = one.transactional_id
            found[name] = Listed(name, one.transaction_state, node, one.producer_id)
    return [found[name] for name in sorted(found)]


def described(client: Client, ids: Iterable[str]) -> Iterator[tuple[str, Transaction | None]]:
    """(transactional id, what is known of it; None: no coordinator knows it)."""
    for answer in answers(client, TRANSACTION, ids, partial(_describe, client)):
        if answer.code == errors.TransactionalIdNotFound.code:
            yield answer.name, None
        else:
            check(answer.code, where=f"transactional id {answer.name!r}")
            yield answer.name, of_answer(answer.node, answer.value)


def _describe(
    client: Client, node: int, names: list[str]
) -> Iterator[tuple[str, int, str | None, Any]]:
    request = DescribeTransactionsRequest(transactional_ids=names)
    for one in client.call(request, node=node).transaction_states:
        yield one.transactional_id, one.error_code, None, one


def known(client: Client, transactional_id: str) -> Transaction:
    """One transaction. Raises Failure that names a similar id when there is none."""
    ((_, found),) = described(client, [transactional_id])
    if found is None:
        near = difflib.get_close_matches(
            transactional_id, [one.transactional_id for one in listed(client)], n=1
        )
        remedy = f"did you mean {near[0]!r}?" if near else "list them with: fastbroker txn list"
        raise Failure(f"no coordinator knows the transactional id {transactional_id!r}; {remedy}")
    return found


def producers(leaders: Leaders, partitions: Iterable[TopicPartition]) -> Found[list[Producer]]:
    """The producers that each partition's leader remembers."""
    return leaders.ask(partitions, _producers_request, _producers)


def _producers_request(asked: Asked) -> DescribeProducersRequest:
    topic = DescribeProducersRequest.TopicRequest
    return DescribeProducersRequest(
        topics=[topic(name=name, partition_indexes=indexes) for name, indexes in asked.items()]
    )


def _producers(
    response: Any,
) -> Iterator[tuple[TopicPartition, int, str | None, list[Producer]]]:
    for topic in response.topics:
        for one in topic.partitions:
            found = [
                Producer(
                    each.producer_id, each.producer_epoch, each.coordinator_epoch,
                    each.last_timestamp, each.current_txn_start_offset,
                )
                for each in one.active_producers
            ]  # fmt: skip
            where = TopicPartition(topic.name, one.partition_index)
            yield where, one.error_code, one.error_message, found
