"""Has coordinators of transactions add partitions, or say whether they belong to a transaction.

Calls of one turn of the loop go to their coordinator together: a producer that writes to many
partitions of this broker is one request.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastbroker import errors
from fastbroker.coordination.added_partitions import topics_of
from fastbroker.coordination.hashing import partition_of
from fastbroker.errors import KafkaError
from fastbroker.handlers.context import TRANSACTIONS_TOPIC, Broker
from fastbroker.model import Deferred, TopicPartition
from fastbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
)
from fastbroker.protocol.schema import Struct

ADD_VERSION = 5
# Partitions that calls of one turn ask for; a further call is told to come back. One alone may ask
# for more: it has come as one request, and goes on as one. A request of all of them together is far
# from what a broker refuses to read (protocol.header.REQUEST_ITEMS_MAX).
WAITING_MAX = 50_000

Codes = dict[TopicPartition, int]
Transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction


class _Key(NamedTuple):
    """Calls with the same one are a single entry of the request."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    add: bool


class _Wanted:
    """The partitions of one entry, and the calls that asked for them."""

    __slots__ = ("calls", "partitions")

    def __init__(self) -> None:
        self.partitions: dict[TopicPartition, None] = {}
        self.calls: list[tuple[list[TopicPartition], Deferred[Codes]]] = []

    def answer(self, codes: Codes, otherwise: int) -> None:
        calls, self.calls = self.calls, []
        for partitions, done in calls:
            done.complete({at: codes.get(at, otherwise) for at in partitions})


class Enlistment:
    """`Broker.enlist`; see handlers.context.Enlist. Owned by the worker's loop.

    call(broker, request, version): a broker's response. soon(f): calls it in the next turn.

    A fenced producer is INVALID_PRODUCER_EPOCH, as partitions say it. Trouble with the coordinator
    is given as it is: COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
    CONCURRENT_TRANSACTIONS, NETWORK_EXCEPTION, all to be tried again; a partition that does not
    belong to the transaction (add=False) is TRANSACTION_ABORTABLE.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        call: Callable[[int, Struct, int], Deferred[Any]],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._broker, self._call, self._soon = broker, call, soon
        self._waiting: dict[_Key, _Wanted] = {}
        self._count = 0

    def __call__(
        self,
        *,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        partitions: list[TopicPartition],
        add: bool,
    ) -> Deferred[Codes]:
        """An error code for each partition."""
        done: Deferred[Codes] = Deferred()
        is_too_much = self._count > 0 and self._count + len(partitions) > WAITING_MAX
        if is_too_much or not partitions:
            done.complete(dict.fromkeys(partitions, errors.CoordinatorNotAvailable.code))
            return done
        if not self._waiting:
            self._soon(self._send)
        self._count += len(partitions)
        key = _Key(transactional_id, producer_id, producer_epoch, add)
        wanted = self._waiting.setdefault(key, _Wanted())
        wanted.partitions.update(dict.fromkeys(partitions))
        wanted.calls.append((partitions, done))
        return done

    def _send(self) -> None:
        """One request for each coordinator; an id has one entry in each, as Kafka wants it."""
        waiting, self._waiting, self._count = self._waiting, {}, 0
        requests: dict[tuple[int, int], dict[_Key, _Wanted]] = {}
        seen: dict[str, int] = {}
        for key, wanted in waiting.items():
            coordinator = self._coordinator(key.transactional_id)
            if coordinator is None:
                wanted.answer({}, errors.CoordinatorNotAvailable.code)
                continue
            turn = seen[key.transactional_id] = seen.get(key.transactional_id, -1) + 1
            requests.setdefault((coordinator, turn), {})[key] = wanted
        for (coordinator, _), entries in requests.items():
            self._ask(coordinator, entries)

    def _coordinator(self, transactional_id: str) -> int | None:
        """The broker that leads the id's partition of __transaction_state."""
        topic = self._broker.image.topics.get(TRANSACTIONS_TOPIC)
        if topic is None:
            return None
        partition = topic.partitions[partition_of(transactional_id, len(topic.partitions))]
        return partition.leader if partition.leader >= 0 else None

    def _ask(self, coordinator: int, entries: dict[_Key, _Wanted]) -> None:
        request = AddPartitionsToTxnRequest(
            transactions=[
                Transaction(
                    transactional_id=key.transactional_id,
                    producer_id=key.producer_id,
                    producer_epoch=key.producer_epoch,
                    verify_only=not key.add,
                    topics=topics_of(wanted.partitions),
                )
                for key, wanted in entries.items()
            ]
        )

        def answered(answer: Deferred[AddPartitionsToTxnResponse]) -> None:
            by_id: dict[str, Codes] = {}
            otherwise = errors.UnknownServerError.code
            if answer.error is not None:
                otherwise = errors.NetworkException.code
                if isinstance(answer.error, KafkaError) and answer.error.retriable:
                    otherwise = answer.error.code
            else:
                said = answer.result()
                otherwise = said.error_code or otherwise
                by_id = {
                    one.transactional_id: _codes(one.topic_results)
                    for one in said.results_by_transaction
                }
            for key, wanted in entries.items():
                wanted.answer(by_id.get(key.transactional_id, {}), otherwise)

        self._call(coordinator, request, ADD_VERSION).then(answered)


def _codes(topics: Iterable[Any]) -> Codes:
    fenced = errors.ProducerFenced.code
    return {
        TopicPartition(topic.name, one.partition_index): (
            errors.InvalidProducerEpoch.code
            if one.partition_error_code == fenced
            else one.partition_error_code
        )
        for topic in topics
        for one in topic.results_by_partition
    }
