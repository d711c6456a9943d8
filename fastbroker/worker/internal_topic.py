"""What a coordinator reads and writes: the partitions of its internal topic that are led here."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from fastbroker.errors import KafkaError, NotCoordinator, NotLeaderOrFollower
from fastbroker.handlers.context import Broker
from fastbroker.model import Deferred, TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.records.builder import build_batch
from fastbroker.storage.damage import checked_batches
from fastbroker.storage.log import AppendInfo
from fastbroker.storage.space import is_passing

log = logging.getLogger(__name__)

READ_BYTES = 1 << 20


class InternalTopic:
    """Owned by the worker's loop. name: of the topic."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker, self.name = broker, name

    def append(self, number: int, records: list[tuple[bytes, bytes | None]]) -> Deferred[None]:
        """Write one batch; done when it is committed. Fails with a KafkaError."""

        def append(partition: Partition, now_ms: int) -> AppendInfo:
            batch = build_batch([(key, value, (), now_ms) for key, value in records])
            return partition.append_internal(batch, now_ms=now_ms)

        return self.write(number, append)

    def led_partition(self, number: int) -> Partition:
        """Raises NotCoordinator, NotLeaderOrFollower, KafkaStorageError."""
        partition = self.broker.partitions.get(TopicPartition(self.name, number))
        if partition is None:
            raise NotCoordinator(f"{self.name}-{number} is not here")
        partition.check_leader()
        return partition

    def write(
        self, number: int, append: Callable[[Partition, int], AppendInfo]
    ) -> Deferred[None]:
        """Call `append(partition, now_ms)`; done when what it appended is committed.

        Fails with a KafkaError.
        """
        done: Deferred[None] = Deferred()
        try:
            partition = self.led_partition(number)
            self.broker.log_dir.space.check_coordinators()
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
    """The log from its start to where it ends now, in chunks of whole batches.

    What is not committed yet is waited for, and so is what cannot be read for a lack of files or
    space, which passes: an empty chunk says that there is nothing now. A coordinator that acted on
    less than what it wrote itself, in an epoch before, would undo it; one that acted on what a
    crash may still take would have promised it.
    Raises KafkaStorageError, NotLeaderOrFollower when that will not come, CorruptMessage when it
    cannot be read: half of what a coordinator has written is worth nothing.
    """
    epoch = partition.leader_epoch
    bounds: tuple[int, int] | None = None  # what is still to be read; None: the log is not open
    has_failed = False
    while bounds is None or bounds[0] < bounds[1]:
        try:
            if bounds is None:
                bounds = partition.log.log_start_offset, partition.log.log_end_offset
                continue
            chunk, offset = _chunk(partition, *bounds)
        except KafkaError as error:
            if not is_passing(error):
                raise
            if not has_failed:
                log.warning("%s: not served yet, it is read later: %s", partition.name, error)
            has_failed = True
            partition.check_leader(epoch)
            yield memoryview(b"")
            continue
        if not len(chunk):
            partition.check_leader(epoch)
        bounds = offset, bounds[1]
        yield chunk


def _chunk(partition: Partition, offset: int, end: int) -> tuple[memoryview, int]:
    """Whole batches from `offset` on, and the offset behind them."""
    if offset >= partition.high_watermark:
        return memoryview(b""), offset
    piece = partition.log.read(
        offset,
        max_bytes=READ_BYTES,
        max_offset=min(end, partition.high_watermark),
        at_least_one=True,
    )
    data = memoryview(partition.log.copy(piece))
    size = 0
    for batch in checked_batches(data, piece.segment.path, piece.position):
        size += batch.header.size
        offset = batch.header.last_offset + 1
    return data[:size], offset
