"""One partition's log: segments, their indexes, leader epochs, producer state.

Invariant: log_start_offset <= flushed_offset <= log_end_offset; what is below flushed_offset is on
the medium. Offsets are assigned here, for leaders; nothing here knows of replicas.
"""
from __future__ import annotations

import os.path
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from fastbroker._c.buffer import FileRange
from fastbroker._c.record_batch import BatchHeader, read_header, stamp, whole_batches
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError, KafkaStorageError, OffsetOutOfRange, RecordListTooLarge
from fastbroker.model import TopicPartition
from fastbroker.records.control import EndTransactionMarker, marker_batch
from fastbroker.records.reader import Batch
from fastbroker.storage.checkpoints import UnknownVersion
from fastbroker.storage.damage import Damaged, checked_batches, epochs_of
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.partition_metadata import METADATA_FILE, topic_id_text
from fastbroker.storage.producer_state import ProducerState, Verification
from fastbroker.storage.recovery import drop_snapshots, find_segments, producers_at, recover
from fastbroker.storage.retention import expired
from fastbroker.storage.segment import RELATIVE_MAX, SNAPSHOT, Segment, file_name
from fastbroker.storage.space import LIMITS, refusal
from fastbroker.storage.time_search import Found, first_since
from fastbroker.storage.txn_index import AbortedTransaction
from fastbroker.storage.validator import validate
from fastbroker.uuids import uuid_text

EPOCHS_FILE = "leader-epoch-checkpoint"
RECENT_MAX = 128  # offsets whose positions are remembered, for readers at the end of the log


class AppendInfo(NamedTuple):
    """Where a batch went: offsets [first, last] inclusive. append_time: ms, -1 for CreateTime."""

    first_offset: int
    last_offset: int
    append_time: int = -1
    is_duplicate: bool = False


class Slice(NamedTuple):
    """Bytes of one segment: whole batches, but the last may be cut."""

    segment: Segment
    position: int
    size: int

    def range(self) -> FileRange:
        """To be sent from the file."""
        return self.segment.range(self.position, self.size)

    def read_bytes(self) -> bytes:
        """To be copied."""
        return self.segment.read(self.position, self.size)


class Log:
    """Owned by one partition of one process; made by `Log.open`.

    last_abort: no abort marker stands behind this offset; -1: there is none.
    dirty_since_ms: when the oldest batch that waits for a flush was written.
    is_gone: its topic was deleted and its directory renamed; nothing is flushed any more.
    fault(error): told of every read and write that failed, before anybody else is.
    """

    def __init__(
        self, directory: str, *, disk: Disk, partition: TopicPartition, config: TopicConfig
    ) -> None:
        self.directory, self.disk = directory, disk
        self.partition, self.config = partition, config
        self.segments: list[Segment] = []
        self.epochs = LeaderEpochs(disk, os.path.join(directory, EPOCHS_FILE))
        self.producers = ProducerState()
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.flushed_offset = 0
        self.last_abort = -1
        self.dirty_since_ms = 0
        self.is_gone = False
        self.fault: Callable[[OSError], object] = lambda _: None
        # A share of segment.jitter.ms that differs from log to log, so that not all roll at once.
        self._jitter = crc32(directory.encode()) / 2**32
        self._bases: list[int] = []  # base offsets of the segments
        self._dirty: list[Segment] = []
        self._dirty_directories: set[str] = set()
        self._recent: dict[int, tuple[Segment, int]] = {}

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
        log_start_offset: int = 0,
        topic_id: bytes | None = None,
        fault: Callable[[OSError], object] = lambda _: None,
    ) -> Log:
        """The log in `directory`, which is made when it is not there.

        is_clean: it was closed; otherwise everything from `recovery_point` on is checked and cut at
        the first bad batch. Raises NoSpaceLeft, KafkaStorageError.
        """
        try:
            disk.make_directory(directory)
            log = cls(directory, disk=disk, partition=partition, config=config)
            log.fault = fault
            log._load(now_ms, is_clean, recovery_point, log_start_offset)
            if topic_id is not None:
                log._check_topic_id(topic_id)
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
        self, now_ms: int, is_clean: bool, recovery_point: int, log_start_offset: int
    ) -> None:
        self.segments = find_segments(self.disk, self.directory)
        first = self.segments[0].base_offset if self.segments else 0
        self.log_start_offset = max(log_start_offset, first)
        # A transaction index that cannot be right is made anew, from the batches.
        damaged = [one.base_offset for one in self.segments if not one.txn_index.load()]
        if self.segments and is_clean and not damaged:
            for segment in self.segments:
                segment.load_times()
            end = self.segments[-1].next_offset()
            self.producers = self._producers_at(end)
        elif self.segments:
            recovery_point = self.segments[-1].base_offset if is_clean else recovery_point
            self.segments, end, self.producers = recover(
                self.segments,
                self.epochs,
                recovery_point=min([recovery_point, *damaged]),
                index_interval_bytes=self.config.index_interval_bytes,
                known_at=self._producers_at,
            )
        if self.segments and end < self.log_start_offset:
            # Everything that was left lies below the start: begin anew there.
            for segment in self.segments:
                segment.remove()
            self.segments = []
            self.producers = ProducerState()
            drop_snapshots(self.disk, self.directory, [], -1)
        if not self.segments:
            end = self.log_start_offset
            self._add_segment(end, now_ms)
            self._dirty_directories.add(os.path.dirname(self.directory))
        self._bases = [segment.base_offset for segment in self.segments]
        self.log_end_offset = self.flushed_offset = end
        if self.epochs.is_damaged:
            self.epochs.rebuild(epochs_of(self.segments))
        self.epochs.cut_from(end)
        self.last_abort = max(one.txn_index.last_marker for one in self.segments)
        drop_snapshots(self.disk, self.directory, self.segments, end)

    def _producers_at(self, offset: int) -> ProducerState:
        return producers_at(self.disk, self.directory, self.segments, offset)

    def _next_base(self, segment: Segment) -> int:
        return self._bases[bisect_right(self._bases, segment.base_offset)]

    def _check_topic_id(self, topic_id: bytes) -> None:
        text = uuid_text(topic_id)
        found = topic_id_text(self.disk, self.directory)
        if found is None:
            # Without it the directory is taken for this topic's: a lost one does no harm.
            path = os.path.join(self.directory, METADATA_FILE)
            self.disk.write_file(path, f"version: 0\ntopic_id: {text}\n".encode())

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
        then.
        Kafka: UnifiedLog.appendAsLeader; KIP-98, KIP-890.
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
            segment = self.segments[-1]
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
        if not self._dirty:
            self.dirty_since_ms = now_ms
        if not self._dirty or self._dirty[-1] is not segment:
            self._dirty.append(segment)
        self._remember(first, segment, position)
        self.log_end_offset = last + 1

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        """The batch that begins with `offset` is at `position`: somebody will soon ask for it."""
        recent = self._recent
        if len(recent) >= RECENT_MAX:
            for old in list(recent)[: RECENT_MAX // 2]:
                del recent[old]
        recent[offset] = segment, position

    def _is_full(
        self, segment: Segment, size: int, last_offset: int, max_timestamp: int, now_ms: int
    ) -> bool:
        """Whether the next batch begins a segment. Kafka: LogSegment.shouldRoll."""
        if segment.size == 0:
            return False
        config = self.config
        begun = segment.first_timestamp if segment.first_timestamp >= 0 else segment.created_ms
        latest = max_timestamp if segment.first_timestamp >= 0 else now_ms
        return (
            segment.size > config.segment_bytes - size
            or latest - begun > config.segment_ms - self._jitter_ms()
            or segment.offset_index.file.size > config.segment_index_bytes - 8
            or last_offset - segment.base_offset > RELATIVE_MAX
        )

    def _jitter_ms(self) -> int:
        return int(self._jitter * min(self.config.segment_jitter_ms, self.config.segment_ms))

    def begin_epoch(self, leader_epoch: int) -> None:
        """Batches from here on are of `leader_epoch`. On a full disk the next batch tries again."""
        try:
            self.epochs.assign(leader_epoch, self.log_end_offset)
        except OSError as error:
            self._failed("writing", error)

    def roll(self, now_ms: int) -> Segment:
        """Begin a segment at the log's end; the one before it will not change any more."""
        self.segments[-1].close_indexes()
        self._write_snapshot()
        return self._add_segment(self.log_end_offset, now_ms)

    def _add_segment(self, base_offset: int, now_ms: int) -> Segment:
        segment = Segment(self.disk, self.directory, base_offset)
        segment.created_ms = now_ms
        segment.create()
        self.segments.append(segment)
        self._bases = [one.base_offset for one in self.segments]
        self._dirty_directories.add(self.directory)
        return segment

    def _write_snapshot(self) -> None:
        path = os.path.join(self.directory, file_name(self.log_end_offset, SNAPSHOT))
        self.disk.replace_file(path, self.producers.snapshot())

    # ---- flushing

    @property
    def is_dirty(self) -> bool:
        return self.flushed_offset < self.log_end_offset or bool(self._dirty)

    def begin_flush(self) -> FlushJob | None:
        """What is to be synced now; None: nothing. `end_flush` follows, on the loop."""
        if self.is_gone or not (self._dirty or self._dirty_directories or self.epochs.is_dirty):
            return None
        files = [segment.file for segment in self._dirty]
        paths: list[str] = []
        if self.epochs.is_dirty:
            paths.append(self.epochs.path)
            self._dirty_directories.add(self.directory)
        directories = sorted(self._dirty_directories, reverse=True)  # a parent after what is in it
        self._dirty, self._dirty_directories, self.epochs.is_dirty = [], set(), False
        return FlushJob(self.disk, files, paths, directories, self.log_end_offset)

    def end_flush(self, job: FlushJob) -> None:
        """`job` has run without an error."""
        self.flushed_offset = max(self.flushed_offset, min(job.offset, self.log_end_offset))

    def flush(self) -> None:
        """Sync now, on this thread. Raises KafkaStorageError."""
        job = self.begin_flush()
        if job is None:
            return
        try:
            job.run()
        except OSError as error:
            self._failed("syncing", error)
            raise KafkaStorageError(f"{self.directory}: syncing failed: {error}") from error
        self.end_flush(job)

    # ---- reading

    def read(self, offset: int, *, max_bytes: int, max_offset: int, at_least_one: bool) -> Slice:
        """Batches from the one that holds `offset`, up to `max_bytes`, below `max_offset`.

        at_least_one: a first batch larger than `max_bytes` is given whole. The end may be inside a
        batch. Raises OffsetOutOfRange unless log_start_offset <= offset <= log_end_offset;
        KafkaStorageError.
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRange(
                f"offset {offset} of {self.partition}: [{self.log_start_offset},"
                f" {self.log_end_offset}) is there"
            )
        number = bisect_right(self._bases, offset) - 1
        if offset >= max_offset:
            return Slice(self.segments[-1], 0, 0)
        try:
            return self._slice(offset, number, max_bytes, max_offset, at_least_one)
        except OSError as error:
            raise self._failed("reading", error) from error

    def _slice(
        self, offset: int, number: int, max_bytes: int, max_offset: int, at_least_one: bool
    ) -> Slice:
        segment, position, first_size = self._find(offset, number)
        last = min(max_offset, self.log_end_offset)
        end = segment.size
        if segment is self.segments[-1]:
            bound = last < self.log_end_offset
        else:
            bound = last < self._next_base(segment)
        if bound:
            end = self._find(last, bisect_right(self._bases, last) - 1)[1]
        size = end - position
        if size > max_bytes:
            size = max_bytes
            if at_least_one and max_bytes < segment.largest_batch:
                size = max(size, first_size or self._size_at(segment, position))
        return Slice(segment, position, size)

    def copy(self, piece: Slice) -> bytes:
        """The bytes of a slice; where the batch behind them is, a reader's next, is remembered.

        Raises KafkaStorageError.
        """
        try:
            data = piece.read_bytes()
        except OSError as error:
            raise self._failed("reading", error) from error
        size, next_offset = whole_batches(data)
        position = piece.position + size
        if size > 0 and position < piece.segment.size:
            self._remember(next_offset, piece.segment, position)
        return data

    def _find(self, offset: int, number: int) -> tuple[Segment, int, int]:
        """(segment, position, size or 0) of the batch that holds `offset` or the next one."""
        known = self._recent.get(offset)
        if known is not None:
            return known[0], known[1], 0
        while number < len(self.segments):
            segment = self.segments[number]
            located = segment.locate(max(offset, segment.base_offset))
            if located is not None:
                return segment, located.position, located.size
            number += 1  # the rest of that segment was compacted away
        last = self.segments[-1]
        return last, last.size, 0

    def _size_at(self, segment: Segment, position: int) -> int:
        return read_header(segment.read(position, 61)).size

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """Those that were aborted and have an offset in [start, end), in the order of markers.

        Its time goes with what was aborted from `start` until everything begun before `end` had
        ended; where nothing was, it is constant.
        """
        found: list[AbortedTransaction] = []
        if self.last_abort < start:
            return found
        for number in range(max(bisect_right(self._bases, start) - 1, 0), len(self.segments)):
            more, is_all = self.segments[number].txn_index.overlapping(start, end)
            found += more
            if is_all:
                break
        return found

    def bound(self, piece: Slice) -> int:
        """An offset above everything in `piece`, and not far above."""
        segment = piece.segment
        found = segment.bound(piece.position + piece.size)
        if found is not None:
            return found
        return self.log_end_offset if segment is self.segments[-1] else self._next_base(segment)

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
        """The first record with the largest timestamp of all; None: the log is empty."""
        latest = max(segment.max_timestamp for segment in self.segments)
        return self.offset_for_timestamp(latest) if latest >= 0 else None

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    def let_go_of_files(self) -> None:
        """Close the files of segments that are not written any more; readers open them again."""
        for segment in self.segments[:-1]:
            if segment not in self._dirty:  # a failed sync is told to the fd that was written
                segment.let_go()

    # ---- the start of the log moves

    def advance_start(self, offset: int) -> bool:
        """Make `offset` the log's start unless it is behind it; whether it moved.

        On a full disk, too: epochs of what is gone, left in their file, harm nobody.
        Raises KafkaStorageError.
        """
        if offset <= self.log_start_offset:
            return False
        try:
            self.epochs.cut_before(min(offset, self.log_end_offset))
        except OSError as error:
            if error.errno not in LIMITS:
                raise self._failed("writing", error) from error
        self.log_start_offset = min(offset, self.log_end_offset)
        return True

    def retain(self, now_ms: int, high_watermark: int) -> list[str]:
        """Drop the oldest segments by time, size and log start; paths of files to remove later.

        See retention.py. A log that loses all of its segments goes on in a new one; on a full disk
        it keeps the last. Raises KafkaStorageError, OSError.
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
        dropped, self.segments = self.segments[:count], self.segments[count:]
        self._bases = [segment.base_offset for segment in self.segments]
        self._dirty = [segment for segment in self._dirty if segment not in dropped]
        self._recent.clear()
        self.advance_start(self._bases[0])
        return [path for segment in dropped for path in segment.retire()]

    def truncate_to(self, offset: int) -> None:
        """Drop everything from `offset` on, which a leader does not have."""
        if offset >= self.log_end_offset:
            return
        self._recent.clear()
        while len(self.segments) > 1 and self.segments[-1].base_offset >= offset:
            segment = self.segments.pop()
            self._dirty = [one for one in self._dirty if one is not segment]
            segment.remove()
        self._bases = [segment.base_offset for segment in self.segments]
        last = self.segments[-1]
        located = last.locate(max(offset, last.base_offset))
        if located is not None:
            last.cut(located.position, offset)
        self.log_end_offset = max(last.next_offset(), self.log_start_offset)
        self.flushed_offset = min(self.flushed_offset, self.log_end_offset)
        self.epochs.cut_from(self.log_end_offset)
        self.last_abort = max(one.txn_index.last_marker for one in self.segments)
        self.producers = self._producers_at(self.log_end_offset)
        drop_snapshots(self.disk, self.directory, self.segments, self.log_end_offset)

    # ---- the end

    def close(self) -> None:
        """Sync, and write what makes the next opening short. Raises KafkaStorageError."""
        self.flush()
        try:
            for segment in self.segments:
                segment.close()
            self._write_snapshot()
            for directory in self._dirty_directories:
                self.disk.sync_directory(directory)
        except OSError as error:
            raise self._failed("closing", error) from error
        self._recent.clear()
