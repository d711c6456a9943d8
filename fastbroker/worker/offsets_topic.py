"""What the group coordinator reads and writes: the partitions of __consumer_offsets led here."""
from __future__ import annotations

from collections.abc import Iterator

from fastbroker.errors import KafkaError, NotCoordinator, NotLeaderOrFollower
from fastbroker.handlers.context import OFFSETS_TOPIC, Broker
from fastbroker.model import Deferred, TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.records.builder import build_batch
from fastbroker.records.reader import iter_batches

READ_BYTES = 1 << 20


class OffsetsTopic:
    """Owned by the worker's loop."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def append(self, number: int, records: list[tuple[bytes, bytes | None]]) -> Deferred[None]:
        """Write one batch; done when it is committed. Fails with a KafkaError."""
        done: Deferred[None] = Deferred()
        partition = self.broker.partitions.get(TopicPartition(OFFSETS_TOPIC, number))
        if partition is None:
            done.fail(NotCoordinator(f"{OFFSETS_TOPIC}-{number} is not here"))
            return done
        now_ms = self.broker.timers.now_ms()
        try:
            partition.check_leader()
            batch = build_batch([(key, value, (), now_ms) for key, value in records])
            info = partition.append_internal(batch, now_ms=now_ms)
        except KafkaError as error:
            done.fail(error)
            return done
        end = info.last_offset + 1

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
