"""A group of old segments -> the files of one new segment, complete and on the medium.

What happens to a batch: cext/cleaner.pyx does the uncompressed ones of no transaction; the others
are decided about here. Kafka: Cleaner.cleanInto, MemoryRecords.filterTo.
"""
from __future__ import annotations

import os.path
from typing import NamedTuple

from fastbroker._c.cleaner import ASK, BatchFilter, OffsetMap
from fastbroker._c.record_batch import BatchHeader, CorruptBatch, assemble, read_header
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import CorruptMessage
from fastbroker.records.compression import CODECS, GZIP, LZ4, ZSTD, Buffer, compress
from fastbroker.records.control import kind_of
from fastbroker.records.reader import Batch
from fastbroker.storage.compaction.offset_map import body_of
from fastbroker.storage.compaction.source import Pace, Source, damaged_at, walk
from fastbroker.storage.compaction.transactions import CleanedTransactions
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.index import RELATIVE_MAX
from fastbroker.storage.segment import Segment
from fastbroker.storage.segment_files import INDEX, LOG, TIME_INDEX, TXN_INDEX, file_name
from fastbroker.storage.swap import CLEANED, discard, swap_path
from fastbroker.storage.txn_index import AbortedTransaction, packed

HORIZON = 64  # the bit of a batch's attributes
# Synced at once: what waits longer in the page cache is in the way of other logs' flushes.
SYNC_BYTES = 4 << 20


class LastOfProducer(NamedTuple):
    """The last that is known of a producer: its last batch of data, -1: none; and its epoch."""

    last_offset: int
    epoch: int


class Rules(NamedTuple):
    """What is kept. now_ms: when the cleaning began. producers: by id, those that are known."""

    config: TopicConfig
    now_ms: int
    producers: dict[int, LastOfProducer]


class NewSegment(NamedTuple):
    """What was written. is_same: the one old segment, byte for byte; then there are no files."""

    old: list[Source]
    size: int
    largest_batch: int
    last_abort: int
    is_same: bool
    records_read: int
    records_kept: int

    @property
    def base_offset(self) -> int:
        return self.old[0].base_offset


class Rewriting:
    """Makes one new segment: `add` each old one, then `finish`; `abandon` when that fails.

    last_offset: of the group's last batch. chunk_bytes: read and written at once, about.
    Bounded by a chunk, the largest batch expanded twice, and the new indexes.
    """

    def __init__(
        self, old: list[Source], *, last_offset: int, keys: OffsetMap, rules: Rules,
        transactions: CleanedTransactions, disk: Disk, chunk_bytes: int, pace: Pace,
    ) -> None:  # fmt: skip
        self.old, self.rules, self.transactions, self.disk = old, rules, transactions, disk
        self.chunk_bytes, self.pace = chunk_bytes, pace
        self.directory, self.base_offset = old[0].directory, old[0].base_offset
        self.last_offset = last_offset
        config = rules.config
        self._codec = (
            None if config.compression_type == "producer" else CODECS[config.compression_type]
        )
        kept = {one.last_offset for one in rules.producers.values()} | {last_offset}
        self.filter = BatchFilter(
            keys,
            now_ms=rules.now_ms,
            horizon_ms=rules.now_ms + config.delete_retention_ms,
            kept=sorted(kept),
            recodes=bool(self._codec),
            base_offset=self.base_offset,
            index_interval_bytes=config.index_interval_bytes,
        )
        self._aborted: list[AbortedTransaction] = []
        self._written = self._synced = 0
        discard(disk, self.directory, self.base_offset)
        self._fd = self._create(LOG)

    def _create(self, suffix: str) -> int:
        name = file_name(self.base_offset, suffix) + CLEANED
        return self.disk.open(os.path.join(self.directory, name), create=True)

    # ---- batches

    def add(self, source: Source) -> None:
        """Filter an old segment. Raises Damaged, FileNotFoundError, OSError."""
        walk(source, self._use, disk=self.disk, chunk_bytes=self.chunk_bytes, pace=self.pace)

    def _use(self, data: bytes, position: int) -> int:
        at = 0
        while True:
            at, how = self.filter.run(data, at)
            if how != ASK:
                break
            header = read_header(data, at)
            batch = Batch(header, memoryview(data)[at : at + header.size])
            try:
                self._decide(batch)
            except (CorruptBatch, CorruptMessage) as error:
                raise damaged_at(at, error) from None
            at += header.size
            if self.filter.pending >= self.chunk_bytes:
                self._write()
        self._write()
        return at

    def _decide(self, batch: Batch) -> None:
        header = batch.header
        if header.is_control:
            self._marker(batch)
            return
        is_aborted = header.is_transactional and self.transactions.is_aborted(header)
        if is_aborted or header.count == 0:
            self.filter.empty(batch.data)
        else:
            self._filter(batch)

    def _marker(self, batch: Batch) -> None:
        """A control batch: it goes like a tombstone, once nothing is left that it ends."""
        header = batch.header
        fate = self.transactions.marker(header, kind_of(batch))
        if fate.aborted is not None:
            self._aborted.append(fate.aborted)
        is_past = header.has_delete_horizon and header.base_timestamp <= self.rules.now_ms
        if self._ends_producer(header) and (is_past or header.count == 0):
            self.filter.keep(batch.data)
        elif header.count == 0 or (fate.can_go and is_past):
            self.filter.empty(batch.data)
        elif fate.can_go and not header.has_delete_horizon:
            self._filter(batch, is_marker=True)
        else:
            self.filter.keep(batch.data)

    def _ends_producer(self, header: BatchHeader) -> bool:
        """Whether this is the last that is known of a producer without data: its epoch counts."""
        last = self.rules.producers.get(header.producer_id)
        return (
            last is not None and last.last_offset < 0 and header.producer_epoch == last.epoch
        )

    def _filter(self, batch: Batch, *, is_marker: bool = False) -> None:
        header = batch.header
        count, latest, sets_horizon, records = self.filter.choose(
            body_of(batch), header, all_of_them=is_marker, sets_horizon=is_marker
        )
        if count == 0:
            self.filter.empty(batch.data)
        elif records is None:
            self.filter.keep(batch.data)
        else:
            codec, body = self._compressed(header, records)
            base = header.base_timestamp
            if sets_horizon:
                base = self.rules.now_ms + self.rules.config.delete_retention_ms
            rebuilt = assemble(
                body,
                base_offset=header.base_offset,
                leader_epoch=header.leader_epoch,
                attributes=header.attributes & ~7 | codec | (HORIZON if sets_horizon else 0),
                last_offset_delta=header.last_offset_delta,
                base_timestamp=base,
                max_timestamp=header.max_timestamp if header.is_append_time else latest,
                producer_id=header.producer_id,
                producer_epoch=header.producer_epoch,
                base_sequence=header.base_sequence,
                count=count,
            )
            self.filter.replace(rebuilt, header.count, count)

    def _compressed(self, header: BatchHeader, body: bytes) -> tuple[int, Buffer]:
        """`body` in the topic's codec; in the batch's own where that would make it larger."""
        if header.is_control:
            return 0, body
        config = self.rules.config
        levels = {
            GZIP: config.compression_gzip_level,
            LZ4: config.compression_lz4_level,
            ZSTD: config.compression_zstd_level,
        }
        if self._codec is not None and self._codec != header.codec:
            packed = compress(self._codec, body, levels.get(self._codec))
            if len(packed) <= header.size:
                return self._codec, packed
        return header.codec, compress(header.codec, body, levels.get(header.codec))

    # ---- files

    def _write(self) -> None:
        size = self.filter.pending
        if size:
            if self.filter.size > RELATIVE_MAX:
                raise Damaged(f"{self.old[0].path}: cleaning made it larger than a segment may be")
            self.disk.pwrite(self._fd, self.filter.output(), self._written)
            self.filter.clear()
            self._written += size
            if self._written - self._synced >= SYNC_BYTES:
                self.disk.sync(self._fd)
                self._synced = self._written
            self.pace(size)

    def finish(self) -> NewSegment:
        """Write the indexes and sync; or let all go, when nothing has changed. Raises OSError."""
        is_same = len(self.old) == 1 and not self.filter.is_changed
        had_txn_index = self.old[0].has_txn_index
        if is_same:
            self.abandon()
        else:
            entries = packed(self._aborted)
            self._file(INDEX, self.filter.index_entries())
            self._file(TIME_INDEX, self.filter.time_entries())
            if entries or had_txn_index:
                self._file(TXN_INDEX, entries)
            self.disk.sync(self._fd)
            self._close()
            self.disk.sync_directory(self.directory)
        return NewSegment(
            old=self.old,
            size=self.filter.size,
            largest_batch=self.filter.largest_batch,
            last_abort=self._aborted[-1].last_offset if self._aborted else -1,
            is_same=is_same,
            records_read=self.filter.records_read,
            records_kept=self.filter.records_kept,
        )

    def _file(self, suffix: str, data: bytes) -> None:
        fd = self._create(suffix)
        try:
            self.disk.pwrite(fd, data, 0)
            self.disk.sync(fd)
        finally:
            self.disk.close(fd)

    def _close(self) -> None:
        if self._fd >= 0:
            self.disk.close(self._fd)
            self._fd = -1

    def abandon(self) -> None:
        """Remove what was written; nothing was committed. Raises OSError."""
        self._close()
        discard(self.disk, self.directory, self.base_offset)


def replacement(new: NewSegment, disk: Disk) -> Segment:
    """The new segment as a log has it, for Log.replace."""
    directory = new.old[0].directory
    segment = Segment(
        disk, directory, new.base_offset, size=new.size, has_txn_index=new.last_abort >= 0
    )
    # Not read: its file has another's name yet.
    segment.indexes.txn_index.last_marker = new.last_abort
    segment.path = swap_path(directory, new.base_offset)
    segment.largest_batch = new.largest_batch
    return segment
