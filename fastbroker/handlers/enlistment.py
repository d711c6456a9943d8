"""Whether a transaction has a partition: asked of its coordinator before a first batch is written.

Kafka: ReplicaManager.handleProduceAppend, AddPartitionsToTxnManager; KIP-890.
"""
from __future__ import annotations

from fastbroker.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgress,
    CoordinatorNotAvailable,
    InvalidProducerEpoch,
    InvalidTxnState,
    KafkaError,
    NetworkException,
    NotCoordinator,
    NotEnoughReplicas,
    OperationNotAttempted,
    ProducerFenced,
    RequestTimedOut,
    TransactionAbortable,
    of,
)
from fastbroker.handlers.context import Broker
from fastbroker.model import Deferred, TopicPartition

ABORTABLE_SINCE = 11  # Produce version
ADDS_SINCE = 12  # Produce version: the leader adds the partition to the transaction itself
# What a client cannot mend by itself: old ones retry the error they are told of instead.
# A partition is not attempted when the coordinator does not know another one of the request: all
# workers learn of a new topic, but not at the same moment.
TROUBLE = (
    ConcurrentTransactions, CoordinatorLoadInProgress, CoordinatorNotAvailable, NetworkException,
    NotCoordinator, OperationNotAttempted, RequestTimedOut,
)  # fmt: skip

Errors = dict[TopicPartition, int]


class Enlistment(Deferred[Errors]):
    """One request's question, done with the coordinator's error code for each partition.

    With `add` a transaction that is still being ended is tried again, every
    add.partitions.to.txn.retry.backoff.ms, for add.partitions.to.txn.retry.backoff.max.ms.
    """

    __slots__ = (
        "add", "broker", "deadline_ms", "partitions", "producer_epoch", "producer_id",
        "transactional_id",
    )  # fmt: skip

    def __init__(
        self, broker: Broker, transactional_id: str, producer_id: int, producer_epoch: int,
        partitions: list[TopicPartition], *, add: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.broker, self.transactional_id = broker, transactional_id
        self.producer_id, self.producer_epoch = producer_id, producer_epoch
        self.partitions, self.add = partitions, add
        patience_ms = broker.config["add.partitions.to.txn.retry.backoff.max.ms"]
        self.deadline_ms = broker.timers.monotonic_ms() + patience_ms

    def ask(self) -> None:
        """Ask the coordinator."""
        self.broker.enlist(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.producer_epoch,
            partitions=self.partitions,
            add=self.add,
        ).then(self._answered)

    def _answered(self, answer: Deferred[Errors]) -> None:
        if answer.error is not None:
            self.fail(answer.error)
            return
        errors = answer.result()
        backoff_ms = self.broker.config["add.partitions.to.txn.retry.backoff.ms"]
        is_early = self.broker.timers.monotonic_ms() + backoff_ms <= self.deadline_ms
        if self.add and is_early and ConcurrentTransactions.code in errors.values():
            self.broker.timers.after(backoff_ms, self.ask)
        else:
            self.complete(errors)


def told(code: int, produce_version: int) -> KafkaError | None:
    """What a producer is told of a coordinator's error code; None: nothing is wrong."""
    if code == 0:
        return None
    kind = of(code)
    if issubclass(kind, TROUBLE):
        return NotEnoughReplicas(
            f"the transaction's coordinator could not be asked about the partition ({kind.name});"
            " try again"
        )
    if kind in (ProducerFenced, InvalidProducerEpoch):
        return InvalidProducerEpoch(
            "another producer has taken the transactional id over, or the transaction was ended for"
            " being too old: abort it, or close this producer"
        )
    if kind is TransactionAbortable and produce_version >= ABORTABLE_SINCE:
        return TransactionAbortable(
            "the transaction does not have the partition, or has been ended: abort it and begin"
            " again"
        )
    if kind in (TransactionAbortable, InvalidTxnState):
        return InvalidTxnState("the partition was not added to the transaction: abort it")
    if kind.retriable:
        return kind(
            f"the transaction's coordinator answers {kind.name} for the partition: try again"
        )
    return kind(
        f"the transaction's coordinator answers {kind.name} for the partition: close this producer"
        " and begin with a new one"
    )
