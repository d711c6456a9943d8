"""One partition's log: what is appended, read, and dropped.

Offsets are assigned here, for leaders; nothing here knows of replicas.
"""
from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader, CorruptBatch, read_header, stamp
from fastbroker.errors import CorruptMessage, OffsetOutOfRange, RecordListTooLarge
from fastbroker.records.control import EndTransactionMarker, marker_batch
from fastbroker.records.reader import Batch
from fastbroker.storage.damage import checked_batches
from fastbroker.storage.disk import Buffer
from fastbroker.storage.log_files import LogFiles
from fastbroker.storage.producer_state import Verification
from fastbroker.storage.recovery import producers_at
from fastbroker.storage.retention import expired, next_due_ms
from fastbroker.storage.rolling import is_full
from fastbroker.storage.segment import Segment
from fastbroker.storage.segments import Slice
from fastbroker.storage.space import LIMITS
from fastbroker.storage.swap import retire
from fastbroker.storage.time_search import Found, first_since
from fastbroker.storage.txn_index import AbortedTransaction
from fastbroker.storage.validator import validate


class AppendInfo(NamedTuple):
    """Where a batch went: offsets [first, last] inclusive. append_time: ms, -1 for CreateTime."""

    first_offset: int
    last_offset: int
    append_time: int = -1
    is_duplicate: bool = False


class SegmentsChanged(Exception):
    """Segments that were to be replaced were dropped meanwhile, or cannot be: all is as it was."""


class Log(LogFiles):
    """Owned by one partition of one process; made by `open_log`."""

    # ---- appending

    def append(
        self, data: memoryview, *, leader_epoch: int, now_ms: int, produce_version: int,
        verification: Verification | None = None,
    ) -> AppendInfo:  # fmt: skip
        """Check one batch from a client, assign its offsets and write it at the log's end.

        data: the records of one partition in a Produce request; stamped in place.
        verification: what a transaction's first batch needs, see ProducerState.
        A batch that a producer repeats is answered with its old offsets, and not written.
        Raises the errors of `validate`, OutOfOrderSequenceNumber, InvalidProducerEpoch,
        InvalidTxnState, RecordListTooLarge, NoSpaceLeft, KafkaStorageError; the log is unchanged
        then. Kafka: UnifiedLog.appendAsLeader; KIP-98, KIP-890.
        """
        batch = validate(
            data, config=self.config, now_ms=now_ms, produce_version=produce_version
        )
        header = batch.header
        if header.producer_id >= 0:
            repeated = self.producers.check(header, verification)
            if repeated is not None:
                return AppendInfo(
                    repeated.first_offset, repeated.last_offset, repeated.timestamp
                    if self.config.is_append_time else -1, True,
                )  # fmt: skip
        first = self.log_end_offset
        self._write(batch.data, header, leader_epoch, batch.max_timestamp, now_ms)
        if header.producer_id >= 0:
            self.producers.appended(header, first, batch.max_timestamp)
        return AppendInfo(first, self.log_end_offset - 1, batch.append_time)

    def append_internal(
        self, batch: Buffer, *, leader_epoch: int, now_ms: int,
        verification: Verification | None = None,
    ) -> AppendInfo:  # fmt: skip
        """Write one batch of the broker's own making (records.builder), no marker, at the log's
        end.

        verification: see `append`; one with a producer id is of a client's transaction.
        Raises InvalidProducerEpoch, InvalidTxnState, RecordListTooLarge, NoSpaceLeft,
        KafkaStorageError; the log is unchanged then.
        """
        if not isinstance(batch, bytearray):
            batch = bytearray(batch)
        header = read_header(batch)
        if header.producer_id >= 0:
            self.producers.check_internal(header, verification)
        first = self.log_end_offset
        self._write(batch, header, leader_epoch, header.max_timestamp, now_ms)
        if header.producer_id >= 0:
            self.producers.appended(header, first, header.max_timestamp)
        return AppendInfo(first, self.log_end_offset - 1)

    def append_marker(
        self, marker: EndTransactionMarker, *, leader_epoch: int, now_ms: int
    ) -> AppendInfo:
        """Write the marker that ends a producer's transaction, whether it has one here or not.

        Raises InvalidProducerEpoch, TransactionCoordinatorFenced, RecordListTooLarge, NoSpaceLeft,
        KafkaStorageError; the log is unchanged then.
        """
        self.producers.check_marker(marker)
        batch = marker_batch(marker, now_ms=now_ms)
        offset = self.log_end_offset
        try:
            self.segments[-1].indexes.load()  # once the marker is written, nothing may fail
        except OSError as error:
            raise self._failed("reading", error) from error
        self._write(batch, read_header(batch), leader_epoch, now_ms, now_ms)
        aborted = self.producers.ended(marker, offset, now_ms)
        if aborted is not None:
            self.segments[-1].indexes.txn_index.append(aborted)
            self.last_abort = offset
        return AppendInfo(offset, offset)

    def _write(
        self, data: Buffer, header: BatchHeader, leader_epoch: int, max_timestamp: int, now_ms: int
    ) -> None:
        if header.size > self.config.segment_bytes:
            raise RecordListTooLarge(
                f"a batch of {header.size} bytes, a segment takes {self.config.segment_bytes}"
                " (segment.bytes)"
            )
        first = self.log_end_offset
        last = first + header.last_offset_delta
        try:
            if not self.is_made:
                self.make()
            segment = self.segments.last
            if is_full(
                segment, header.size, last_offset=last, max_timestamp=max_timestamp,
                config=self.config, jitter=self._jitter, now_ms=now_ms,
            ):  # fmt: skip
                segment = self.roll(now_ms)
            if leader_epoch > self.epochs.latest:
                self.epochs.assign(leader_epoch, first)
            stamp(data, first, leader_epoch)
            position = segment.append(
                data,
                last_offset=last,
                max_timestamp=max_timestamp,
                index_interval_bytes=self.config.index_interval_bytes,
            )
        except OSError as error:
            raise self._failed("writing", error) from error
        self.unflushed.wrote(segment, position, header.size, now_ms)
        self.segments.remember(first, segment, position)
        self._unsaved += header.size
        self.log_end_offset = last + 1

    # ---- reading

    def read(self, offset: int, *, max_bytes: int, max_offset: int, at_least_one: bool) -> Slice:
        """Batches from the one that holds `offset`, up to `max_bytes`, below `max_offset`.

        at_least_one: a first batch larger than `max_bytes` is given whole. The end may be inside a
        batch. Raises OffsetOutOfRange unless log_start_offset <= offset <= log_end_offset;
        CorruptMessage, KafkaStorageError.
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRange(
                f"offset {offset} of {self.partition}: [{self.log_start_offset},"
                f" {self.log_end_offset}) is there"
            )
        try:
            return self.segments.read(
                offset,
                max_bytes=max_bytes,
                max_offset=max_offset,
                log_end_offset=self.log_end_offset,
                at_least_one=at_least_one,
            )
        except OSError as error:
            raise self._failed("reading", error) from error
        except CorruptBatch as error:
            raise CorruptMessage(f"{self.directory}, offset {offset}: {error}") from None

    def copy(self, piece: Slice) -> bytes:
        """The bytes of a slice; where the batch behind them is, a reader's next, is remembered.

        Raises KafkaStorageError.
        """
        try:
            return self.segments.copy(piece)
        except OSError as error:
            raise self._failed("reading", error) from error

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """Those that were aborted and have an offset in [start, end), in the order of markers.

        Its time goes with what was aborted from `start` until everything begun before `end` had
        ended; where nothing was, it is constant. Raises KafkaStorageError.
        """
        if self.last_abort < start:
            return []
        try:
            return self.segments.aborted_transactions(start, end)
        except OSError as error:
            raise self._failed("reading", error) from error

    def bound(self, piece: Slice) -> int:
        """An offset above everything in `piece`, and not far above."""
        segment = piece.segment
        found = segment.bound(piece.position + piece.size)
        if found is not None:
            return found
        return self.segments.end_of(segment, self.log_end_offset)

    def batches(self, offset: int, max_bytes: int, max_offset: int) -> Iterator[Batch]:
        """The whole batches that one `read` gives, checked."""
        piece = self.read(offset, max_bytes=max_bytes, max_offset=max_offset, at_least_one=True)
        yield from checked_batches(self.copy(piece), piece.segment.path, piece.position)

    def offset_for_timestamp(self, timestamp: int) -> Found | None:
        """The first record with a timestamp >= `timestamp`; None: there is none.

        Raises CorruptMessage, KafkaStorageError.
        """
        try:
            return first_since(self.segments, timestamp, self.log_start_offset)
        except OSError as error:
            raise self._failed("reading", error) from error

    def record_of_max_timestamp(self) -> Found | None:
        """The first record with the largest timestamp of all; None: the log is empty.

        Raises CorruptMessage, KafkaStorageError.
        """
        try:
            latest = max(segment.max_timestamp for segment in self.segments)
        except OSError as error:
            raise self._failed("reading", error) from error
        return self.offset_for_timestamp(latest) if latest >= 0 else None

    # ---- the start of the log moves

    def advance_start(self, offset: int) -> bool:
        """Make `offset` the log's start unless it is behind it; whether it moved."""
        if offset <= self.log_start_offset:
            return False
        # The replay of the commit journal has to know the epochs from the recovery point on.
        self.epochs.cut_before(min(offset, self.recovery_point))
        self.log_start_offset = min(offset, self.log_end_offset)
        return True

    def retain(self, now_ms: int, high_watermark: int) -> list[str]:
        """Drop the oldest segments by time, size and log start; paths of files to remove later.

        See retention.py. A log that loses all of its segments goes on in a new one; on a full disk
        it keeps the last. Raises OSError.
        """
        count = expired(
            self.segments,
            log_start_offset=self.log_start_offset,
            log_end_offset=self.log_end_offset,
            high_watermark=high_watermark,
            config=self.config,
            now_ms=now_ms,
        )
        if count == 0:
            return []
        if count == len(self.segments):
            try:
                self.roll(now_ms)
            except OSError as error:
                if error.errno not in LIMITS:
                    raise
                count -= 1
        first = self.segments[count].base_offset
        if first >= self.recovery_point:
            # What it tells of producers is not told by any batch from here on.
            with suppress(FileNotFoundError):
                self.disk.sync_file(self.snapshots.path(first))
        self.advance_start(first)
        dropped = self.segments.drop_first(count)
        self.unflushed.dropped(dropped)
        return [path for segment in dropped for path in segment.retire()]

    def next_due_ms(self, now_ms: int) -> int:
        """When `retain` may drop something of a log that stays as it is."""
        return next_due_ms(
            self.segments,
            log_start_offset=self.log_start_offset,
            log_end_offset=self.log_end_offset,
            high_watermark=self.flushed_offset,
            config=self.config,
            now_ms=now_ms,
        )

    def replace(self, old: list[Segment], new: list[Segment]) -> list[str]:
        """Put `new`, committed (see swap.py), in the place of `old`, neighbours below the recovery
        point.

        Readers see the old ones before, the new ones after. Returns paths of files to remove later.
        Raises SegmentsChanged when `old` are not all there any more, or cannot be renamed; OSError,
        EIO, when some were: what is in the directory is not what readers are told then.
        """
        if self.is_gone or not self.segments.are_closed(old):
            raise SegmentsChanged
        bases = [segment.base_offset for segment in old]
        try:
            for segment in old:
                _ = segment.file  # for who is about to read from it: soon its name is another's
            retired = retire(self.disk, self.directory, bases, new[0].base_offset)
        except OSError as error:
            if self.disk.exists(old[0].path):  # the first name that goes
                self.fault(error)
                raise SegmentsChanged from error
            # A fault, whatever the reason was: the old segments would be read by the new indexes.
            halfway = OSError(errno.EIO, f"replaced halfway: {error}", self.directory)
            self.fault(halfway)
            raise halfway from error
        self.segments.replace(old, new)
        self.last_abort = self.segments.last_abort
        return retired

    def truncate_to(self, offset: int) -> None:
        """Drop everything from `offset` on, which a leader does not have."""
        if offset >= self.log_end_offset:
            return
        self.segments.forget_recent()
        while len(self.segments) > 1 and self.segments[-1].base_offset >= offset:
            segment = self.segments.drop_last()
            self.unflushed.dropped([segment])
            segment.remove()
        last = self.segments[-1]
        located = last.locate(max(offset, last.base_offset))
        if located is not None:
            last.cut(located.position, offset)
        self.log_end_offset = max(last.next_offset(), self.log_start_offset)
        self.unflushed.cut(last, self.log_end_offset)
        self._was_cut = True
        self.epochs.may_be_lost = False
        self.epochs.cut_from(self.log_end_offset)
        self.last_abort = self.segments.last_abort
        names = self.disk.list(self.directory)
        self.producers = producers_at(self.segments, self.snapshots, names, self.log_end_offset)
        self.drop_snapshots(names)
