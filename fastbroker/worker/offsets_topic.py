"""What the group coordinator reads and writes in __consumer_offsets, transactions included."""
from __future__ import annotations

from typing import Any

from fastbroker.group.classic.record import Record
from fastbroker.group.transactions import Producer, Transactions
from fastbroker.handlers.context import OFFSETS_TOPIC, Broker
from fastbroker.model import Deferred, TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.log import AppendInfo
from fastbroker.worker.internal_topic import InternalTopic


class OffsetsTopic(InternalTopic):
    """Owned by the worker's loop."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker, OFFSETS_TOPIC)

    @property
    def transactions(self) -> Transactions:
        """What the group coordinator does to its partitions in transactions."""
        return Transactions(
            self.begin_verification, self.append_transactional, self.append_marker, self.enlist
        )

    def append_transactional(
        self, number: int, records: list[Record], producer: Producer, verification: Any
    ) -> Deferred[None]:
        """Like `append`, a batch of a producer's transaction, which has been verified or is open.

        verification: what `begin_verification` gave.
        """

        def append(partition: Partition, now_ms: int) -> AppendInfo:
            batch = build_batch(
                [(key, value, (), now_ms) for key, value in records],
                producer_id=producer.id,
                producer_epoch=producer.epoch,
                is_transactional=True,
            )
            return partition.append_internal(batch, now_ms=now_ms, verification=verification)

        return self.write(number, append)

    def append_marker(self, number: int, marker: EndTransactionMarker) -> Deferred[None]:
        """Like `append`, the end of a transaction."""
        return self.write(
            number, lambda partition, now_ms: partition.append_marker(marker, now_ms=now_ms)
        )

    def begin_verification(self, number: int, producer: Producer) -> object | None:
        """A guard to append with; None: the transaction is open there. Raises KafkaError."""
        return self.led_partition(number).begin_verification(producer.id, producer.epoch)

    def enlist(
        self, partition: int, transactional_id: str, producer: Producer, *, add: bool
    ) -> Deferred[int]:
        """Whether a partition is part of a transaction; `add`: make it so. 0 or an error code.

        Without transaction.partition.verification.enable it is taken for one.
        """
        at = TopicPartition(OFFSETS_TOPIC, partition)
        code: Deferred[int] = Deferred()
        if not add and not self.broker.config["transaction.partition.verification.enable"]:
            code.complete(0)
            return code

        def told(codes: Deferred[dict[TopicPartition, int]]) -> None:
            if codes.error is not None:
                code.fail(codes.error)
            else:
                code.complete(codes.result()[at])

        self.broker.enlist(
            transactional_id=transactional_id,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            partitions=[at],
            add=add,
        ).then(told)
        return code
