"""What the group coordinator reads and writes: the partitions of __consumer_offsets led here."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastbroker.errors import KafkaError, NotCoordinator, NotLeaderOrFollower
from fastbroker.group.classic.record import Record
from fastbroker.group.transactions import Producer, Transactions
from fastbroker.handlers.context import OFFSETS_TOPIC, Broker
from fastbroker.model import Deferred, TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker
from fastbroker.records.reader import iter_batches
from fastbroker.storage.log import AppendInfo

READ_BYTES = 1 << 20


class OffsetsTopic:
    """Owned by the worker's loop."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    @property
    def transactions(self) -> Transactions:
        """What the group coordinator does to its partitions in transactions."""
        return Transactions(
            self.begin_verification, self.append_transactional, self.append_marker, self.enlist
        )

    def append(self, number: int, records: list[Record]) -> Deferred[None]:
        """Write one batch; done when it is committed. Fails with a KafkaError."""

        def append(partition: Partition, now_ms: int) -> AppendInfo:
            batch = build_batch([(key, value, (), now_ms) for key, value in records])
            return partition.append_internal(batch, now_ms=now_ms)

        return self._append(number, append)

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

        return self._append(number, append)

    def append_marker(self, number: int, marker: EndTransactionMarker) -> Deferred[None]:
        """Like `append`, the end of a transaction."""
        return self._append(
            number, lambda partition, now_ms: partition.append_marker(marker, now_ms=now_ms)
        )

    def begin_verification(self, number: int, producer: Producer) -> object | None:
        """A guard to append with; None: the transaction is open there. Raises KafkaError."""
        partition = self._partition(number)
        partition.check_leader()
        return partition.begin_verification(producer.id, producer.epoch)

    def enlist(
        self, partition: int, transactional_id: str, producer: Producer, *, add: bool
    ) -> Deferred[int]:
        """Whether a partition is part of a transaction; `add`: make it so. 0 or an error code."""
        at = TopicPartition(OFFSETS_TOPIC, partition)
        code: Deferred[int] = Deferred()

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

    def _partition(self, number: int) -> Partition:
        partition = self.broker.partitions.get(TopicPartition(OFFSETS_TOPIC, number))
        if partition is None:
            raise NotCoordinator(f"{OFFSETS_TOPIC}-{number} is not here")
        return partition

    def _append(
        self, number: int, append: Callable[[Partition, int], AppendInfo]
    ) -> Deferred[None]:
        """Append with the partition and the time; done when that is committed."""
        done: Deferred[None] = Deferred()
        try:
            partition = self._partition(number)
            partition.check_leader()
            end = append(partition, self.broker.timers.now_ms()).last_offset + 1
        except KafkaError as error:
            done.fail(error)
            return done

        def committed() -> None:
            if partition.high_watermark >= end:
                done.complete(None)
                return
            try:
                partition.check_leader()
                done.fail(NotLeaderOrFollower(f"{partition.name} has another leader"))
            except KafkaError as error:
                done.fail(error)

        partition.await_commit(end, committed)
        return done


def committed_batches(partition: Partition) -> Iterator[memoryview]:
    """The log from its start to the high watermark, in chunks of whole batches."""
    offset, end = partition.log.log_start_offset, partition.high_watermark
    while offset < end:
        piece = partition.log.read(
            offset, max_bytes=READ_BYTES, max_offset=end, at_least_one=True
        )
        data = memoryview(piece.read_bytes())
        size = 0
        for batch in iter_batches(data):
            size += batch.header.size
            offset = batch.header.last_offset + 1
        if not size:
            return
        yield data[:size]
