"""One partition's log: segments, their indexes, leader epochs, producer state.

Invariant: recovery_point <= flushed_offset <= log_end_offset, and log_start_offset below the last
two; what is below flushed_offset is on the medium, see unflushed.py. Offsets are assigned here, for
leaders; nothing here knows of replicas.
"""
from __future__ import annotations

import errno
import os.path
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple
from zlib import crc32

from fastbroker._c.record_batch import BatchHeader, CorruptBatch, read_header, stamp
from fastbroker.config.kinds import LONG_MAX
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import (
    CorruptMessage,
    KafkaError,
    KafkaStorageError,
    OffsetOutOfRange,
    RecordListTooLarge,
)
from fastbroker.model import TopicPartition
from fastbroker.records.control import EndTransactionMarker, marker_batch
from fastbroker.records.reader import Batch
from fastbroker.storage.checkpoints import UnknownVersion
from fastbroker.storage.damage import Damaged, checked_batches
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.index import RELATIVE_MAX
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.partition_metadata import has_topic_id, write_topic_id
from fastbroker.storage.producer_state import ProducerState, Verification
from fastbroker.storage.recovery import (
    find_epochs,
    find_segments,
    producers_at,
    recover,
    set_aside,
)
from fastbroker.storage.retention import expired, next_due_ms
from fastbroker.storage.segment import Segment
from fastbroker.storage.segments import Segments, Slice
from fastbroker.storage.snapshots import Snapshots
from fastbroker.storage.space import LIMITS, refusal
from fastbroker.storage.swap import retire
from fastbroker.storage.time_search import Found, first_since
from fastbroker.storage.txn_index import AbortedTransaction
from fastbroker.storage.unflushed import Unflushed
from fastbroker.storage.validator import validate

EPOCHS_FILE = "leader-epoch-checkpoint"
SAVE_BYTES = 256 << 10  # written since the last save, for the next to be worth it


class AppendInfo(NamedTuple):
    """Where a batch went: offsets [first, last] inclusive. append_time: ms, -1 for CreateTime."""

    first_offset: int
    last_offset: int
    append_time: int = -1
    is_duplicate: bool = False


class SegmentsChanged(Exception):
    """Segments that were to be replaced were dropped meanwhile, or cannot be: all is as it was."""


class Log:
    """Owned by one partition of one process; made by `Log.open`.

    last_abort: no abort marker stands behind this offset; -1: there is none.
    is_gone: its topic was deleted and its directory renamed; nothing is flushed any more.
    fault(error): told of every read and write that failed, before anybody else is.
    A log that nothing was ever written to has no directory.
    """

    def __init__(
        self, directory: str, *, disk: Disk, partition: TopicPartition, config: TopicConfig,
        topic_id: bytes | None = None, fault: Callable[[OSError], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self.directory, self.disk = directory, disk
        self.partition, self.config, self.fault = partition, config, fault
        self.segments = Segments()
        self.epochs = LeaderEpochs(disk, os.path.join(directory, EPOCHS_FILE))
        self.producers = ProducerState()
        self.snapshots = Snapshots(disk, directory)
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.unflushed = Unflushed(disk, directory)
        self.unflushed.topic_id = topic_id
        self.last_abort = -1
        self.is_gone = False
        self._was_cut = False
        self._is_made = False  # the directory and the first segment's files are there
        self._unsaved = 0  # bytes written since the last `save`
        # A share of segment.jitter.ms that differs from log to log, so that not all roll at once.
        self._jitter = crc32(directory.encode()) / 2**32

    # ---- opening

    @classmethod
    def open(
        cls,
        directory: str,
        *,
        disk: Disk,
        partition: TopicPartition,
        config: TopicConfig,
        now_ms: int,
        is_clean: bool = False,
        recovery_point: int = 0,
        compacted_to: int = 0,
        log_start_offset: int = 0,
        topic_id: bytes | None = None,
        fault: Callable[[OSError], object] = lambda _: None,
    ) -> Log:
        """The log in `directory`, which is made when the first batch is written.

        is_clean: it was closed; otherwise everything from `recovery_point` on is checked and cut at
        the first bad batch. compacted_to: see recovery.py. What was there is on the medium: after a
        crash, its file system was synced. Raises NoSpaceLeft, KafkaStorageError.
        """
        try:
            log = cls(
                directory, disk=disk, partition=partition, config=config, topic_id=topic_id,
                fault=fault,
            )  # fmt: skip
            try:
                names = disk.list(directory)
            except FileNotFoundError:
                names = []
            trusted = LONG_MAX if is_clean else recovery_point
            log._load(names, now_ms, trusted, compacted_to, log_start_offset)
            return log
        except OSError as error:
            fault(error)
            raise refusal(directory, "opening", error) from error
        except (UnknownVersion, Damaged) as error:
            raise KafkaStorageError(f"{partition} cannot be opened: {error}") from error

    def _failed(self, doing: str, error: OSError) -> KafkaError:
        """A read or write failed: what whoever asked for it is told."""
        if error.filename is None:
            error.filename = self.directory
        self.fault(error)
        return refusal(self.directory, doing, error)

    def _load(
        self, names: list[str], now_ms: int, recovery_point: int, compacted_to: int,
        log_start_offset: int,
    ) -> None:  # fmt: skip
        found = find_segments(self.disk, self.directory, names)
        self.log_start_offset = max(log_start_offset, found[0].base_offset if found else 0)
        end = -1
        if found:
            if not self.epochs.load():
                find_epochs(found, self.epochs, recovery_point)
            end = self._recover(found, names, recovery_point, compacted_to)
        if end < self.log_start_offset:
            # Nothing is there, or all that was left lies below the start: begin anew there.
            for segment in self.segments:
                segment.remove()
            end = self.log_start_offset
            self.segments = Segments([self._new_segment(end, now_ms)])
            self.producers = ProducerState()
        self._is_made = bool(found) and self.segments[0] is found[0]
        topic_id = self.unflushed.topic_id
        if topic_id is not None and found and not has_topic_id(self.disk, self.directory, names):
            write_topic_id(self.disk, self.directory, topic_id)
        self.log_end_offset = end
        self.unflushed.opened(end)
        self.epochs.cut_from(end)
        self.epochs.cut_before(self.log_start_offset)  # a crash may have lost that it moved
        self.last_abort = self.segments.last_abort
        self._drop_snapshots(names)

    def _recover(
        self, found: list[Segment], names: list[str], recovery_point: int, compacted_to: int
    ) -> int:
        """Trust what may be trusted of what is there and check the rest; the offset behind it."""
        left = recover(
            found,
            self.epochs,
            recovery_point=recovery_point,
            compacted_to=compacted_to,
            index_interval_bytes=self.config.index_interval_bytes,
            snapshots=self.snapshots,
            names=names,
        )
        for segment in left.cut_off:
            set_aside(segment, left.end)
        if left.cut_off:
            # One that came back after a power cut would follow what is written from here on.
            self.disk.sync_directory(self.directory)
        # All of it is believed from here on: what tells of it is on the medium, too.
        for path in left.unsynced:
            self.disk.sync_file(path)
        self.segments, self.producers = Segments(left.segments), left.producers
        return left.end

    def _drop_snapshots(self, names: list[str]) -> None:
        bases = {segment.base_offset for segment in self.segments}
        self.snapshots.drop_useless(names, bases=bases, end=self.log_end_offset)

    def _make(self) -> None:
        """The directory and its first files, for the first batch."""
        self.disk.make_directory(self.directory)
        self.unflushed.made(os.path.dirname(self.directory))
        if self.unflushed.topic_id is not None:
            write_topic_id(self.disk, self.directory, self.unflushed.topic_id)
        self.segments[0].create()
        self.unflushed.made(self.directory)
        self._is_made = True

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
            self.segments[-1].load_indexes()  # once the marker is written, nothing may fail
        except OSError as error:
            raise self._failed("reading", error) from error
        self._write(batch, read_header(batch), leader_epoch, now_ms, now_ms)
        aborted = self.producers.ended(marker, offset, now_ms)
        if aborted is not None:
            self.segments[-1].txn_index.append(aborted)
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
            if not self._is_made:
                self._make()
            segment = self.segments.last
            if self._is_full(segment, header.size, last, max_timestamp, now_ms):
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

    def _is_full(
        self, segment: Segment, size: int, last_offset: int, max_timestamp: int, now_ms: int
    ) -> bool:
        """Whether the next batch begins a segment. Kafka: LogSegment.shouldRoll."""
        if segment.size == 0:
            return False
        config = self.config
        begun, latest = segment.first_timestamp, max_timestamp
        if begun < 0:
            begun, latest = segment.created_ms, now_ms
        return (
            segment.size > config.segment_bytes - size
            or latest - begun
            > config.roll_ms - (self._jitter_ms() if config.segment_jitter_ms else 0)
            or segment.offset_index.file.size > config.segment_index_bytes - 8
            # One entry more comes when the segment is closed.
            or segment.time_index.file.size > config.segment_index_bytes - 24
            or last_offset - segment.base_offset > RELATIVE_MAX
        )

    def _jitter_ms(self) -> int:
        return int(self._jitter * min(self.config.segment_jitter_ms, self.config.roll_ms))

    def roll(self, now_ms: int) -> Segment:
        """Begin a segment at the log's end; the one before it will not change any more.

        Raises OSError; the segment before it goes on then.
        """
        last = self.segments[-1]
        for path in last.complete_indexes():
            self.unflushed.wrote_file(path)
        self.unflushed.wrote_file(self._write_snapshot())
        segment = self._new_segment(self.log_end_offset, now_ms)
        segment.create()
        last.forget_indexes()
        self.segments.append(segment)
        self.unflushed.made(self.directory)
        return segment

    def _new_segment(self, base_offset: int, now_ms: int) -> Segment:
        return Segment(self.disk, self.directory, base_offset, created_ms=now_ms)

    def _write_snapshot(self) -> str:
        """Of producers, at the log's end, unsynced; its path. The indexes were written before."""
        transactions = self.segments[-1].txn_index
        if not transactions.is_synced:
            # Whoever finds a snapshot believes that this has every marker before it.
            self.disk.sync_file(transactions.file.path)
            transactions.synced()
        return self.snapshots.write(self.log_end_offset, self.producers)

    # ---- flushing

    @property
    def flushed_offset(self) -> int:
        return self.unflushed.flushed_offset

    @property
    def recovery_point(self) -> int:
        return min(self.unflushed.recovery_point, self.epochs.unsynced_from)

    @property
    def is_dirty(self) -> bool:
        return self.flushed_offset < self.log_end_offset or self.unflushed.has_written

    def begin_flush(self) -> FlushJob | None:
        """What is to be synced now; None: nothing. `end_flush` follows, on the loop.

        Raises OSError.
        """
        if self.is_gone or not self._is_made:
            return None
        if self._was_cut and not self.epochs.is_synced:
            # By them the replay of the commit journal knows what was cut from what came after it.
            if self.epochs.is_dirty:
                self.epochs.write()
            self.unflushed.wrote_file(self.epochs.path)
        return self.unflushed.begin(self.log_end_offset)

    def end_flush(self, job: FlushJob, *, is_journaled: bool = False) -> None:
        """`job` has run without an error; is_journaled: its ranges are in the journal."""
        self.unflushed.end(job, is_journaled=is_journaled)

    def flush(self) -> None:
        """Sync everything now, on this thread. Raises KafkaStorageError, NoSpaceLeft."""
        if not self._is_made or self.is_gone:
            return
        job = self.unflushed.begin(self.log_end_offset, is_last=True)
        try:
            if job is not None:
                job.run()
        except OSError as error:
            self._failed("syncing", error)
            raise KafkaStorageError(f"{self.directory}: syncing failed: {error}") from error
        if job is not None:
            self.end_flush(job)
        if not self.epochs.is_synced:
            try:
                if self.epochs.is_dirty:
                    self.epochs.write()
                self.disk.sync_file(self.epochs.path)
            except OSError as error:
                raise self._failed("writing", error) from error
            self.epochs.synced()

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

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self.segments.size

    def let_go_of_files(self) -> None:
        """Close the files of segments that are not written any more; readers open them again."""
        for segment in self.segments:
            if segment is not self.segments[-1] and not self.unflushed.holds(segment):
                segment.let_go()

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
        self._drop_snapshots(names)

    # ---- the end

    def save_when_due(self) -> bool:
        """Write what makes the next opening short when much was written since the last time: the
        indexes, and a snapshot of producers at the log's end; unsynced.

        True when the file of leader epochs is to be synced, too: the recovery point stays below the
        first that it lacked until it was, see LeaderEpochs.synced. Raises OSError.
        """
        if self._unsaved >= SAVE_BYTES:
            self._save()
        if self.epochs.is_synced or not self._is_made:
            return False
        if self.epochs.is_dirty:
            self.epochs.write()
        return True

    def _save(self) -> None:
        """Write the indexes, and a snapshot behind them."""
        self.segments[-1].write_indexes()
        self._write_snapshot()
        self._unsaved = 0
        self._drop_snapshots(self.disk.list(self.directory))

    def end(self) -> None:
        """Complete the files and let go of them; what was written has been flushed, and is synced
        by whoever calls this. The log can be opened as one that is clean then. Raises OSError."""
        if not self._is_made:
            return
        if self.epochs.is_dirty:
            self.epochs.write()
        self.segments[-1].complete_indexes()
        self._save()
        for segment in self.segments:
            segment.let_go()

    def close(self) -> None:
        """Sync, and write what makes the next opening short. Raises KafkaStorageError."""
        self.flush()
        try:
            self.end()
            if self._is_made:
                fd = self.disk.open(self.directory, write=False)
                self.disk.sync_file_system(fd)
                self.disk.close(fd)
        except OSError as error:
            raise self._failed("closing", error) from error
