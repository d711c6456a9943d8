"""One segment: a .log file of batches from a base offset on, with its indexes."""
from __future__ import annotations

import logging
import os.path
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastbroker._c.buffer import FileRange
from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    read_header,
    skip_batches,
)
from fastbroker.storage.damage import Damaged, report_cut
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.good_batches import WALK_BYTES, good_batches
from fastbroker.storage.index import OffsetIndex, TimeIndex
from fastbroker.storage.txn_index import TxnIndex

log = logging.getLogger(__name__)

LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT, DELETED = (
    ".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".deleted",
)  # fmt: skip
SCAN_BYTES = 4096  # read at once to find a batch near an index entry
INDEX_INTERVAL_BYTES = 4096  # of indexes that are made anew
UNKNOWN_SIZE = 2**31


def file_name(base_offset: int, suffix: str) -> str:
    """Kafka's name of a segment's file."""
    return f"{base_offset:020d}{suffix}"


def offsets_of(names: Iterable[str], suffix: str) -> list[int]:
    """The offsets in names such as 00000000000000000042.log."""
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return [int(stem) for stem in stems if stem.isdigit()]


class Located(NamedTuple):
    """A batch's place in its segment."""

    position: int
    size: int


class Segment:
    """Batches [base_offset, next_offset) in one file. Owned by one Log.

    size: bytes of the .log file. first_timestamp: of the first batch, -1 when empty.
    max_timestamp, offset_of_max: the largest timestamp, and the last offset of the batch with it,
    which is what Kafka's time index names. Those of a segment found on disk are read when needed.
    The file is opened when first used. An open FileRange keeps it open, see `range`.
    """

    __slots__ = (
        "_file", "_first_timestamp", "_is_checked", "_is_torn", "_max_timestamp", "_offset_of_max",
        "_since_index", "base_offset", "created_ms", "directory", "disk", "largest_batch",
        "offset_index", "path", "size", "time_index", "txn_index",
    )  # fmt: skip

    def __init__(
        self, disk: Disk, directory: str, base_offset: int, *, size: int = 0,
        created_ms: int = 0, has_txn_index: bool = False,
    ) -> None:  # fmt: skip
        self.disk, self.directory, self.base_offset = disk, directory, base_offset
        self.path = os.path.join(directory, file_name(base_offset, LOG))
        self.size = size
        self.offset_index = OffsetIndex(disk, self._beside(INDEX), base_offset)
        self.time_index = TimeIndex(disk, self._beside(TIME_INDEX), base_offset)
        self.txn_index = TxnIndex(
            disk, self._beside(TXN_INDEX), base_offset, is_there=has_txn_index
        )
        self._max_timestamp, self._offset_of_max = -1, base_offset
        self._first_timestamp = -1
        self.created_ms = created_ms
        # Bytes of the largest batch, so far as it is known: no batch here is larger.
        self.largest_batch = 0 if size == 0 else UNKNOWN_SIZE
        self._since_index = 0
        self._is_torn = False  # a failed write may have left bytes behind `size`
        self._is_checked = size == 0  # the indexes are right, and the timestamps known
        self._file: OpenFile | None = None

    def _beside(self, suffix: str) -> str:
        return os.path.join(self.directory, file_name(self.base_offset, suffix))

    @property
    def file(self) -> OpenFile:
        if self._file is None:
            # One that is not there was retired: made anew, it would be the log's at the next start.
            self._file = OpenFile(self.disk, self.disk.open(self.path))
        return self._file

    @property
    def fd(self) -> int:
        return self.file.fd

    @property
    def latest_ms(self) -> int:
        """The largest timestamp; without any, when the file was last written, as on Kafka."""
        return self.max_timestamp if self.max_timestamp >= 0 else self.disk.modified_ms(self.path)

    def create(self) -> None:
        """Make the files of a new segment; Kafka's tools expect all of them but a .txnindex.

        The .log first: an index without one is then not what a crash leaves.
        """
        made: list[str] = []
        try:
            for path in (self.path, self.offset_index.file.path, self.time_index.file.path):
                self.disk.close(self.disk.open(path, create=True))
                made.append(path)
            self.load_indexes()
        except OSError:
            for path in reversed(made):  # it would end the segment before it at the next start
                self.disk.remove(path)
            raise

    def load_indexes(self) -> None:
        """Have them in memory, so that nothing about them can fail once a batch is written."""
        for index in (self.offset_index, self.time_index, self.txn_index):
            index.file.entries()

    def append(
        self, data: Buffer, *, last_offset: int, max_timestamp: int, index_interval_bytes: int
    ) -> int:
        """Write one stamped batch at the end; its position."""
        position = self.size
        if self._since_index > index_interval_bytes:
            self.offset_index.file.entries()  # loaded before anything is written: it may fail
            self.time_index.file.entries()
        try:
            self.disk.pwrite((self._file or self.file).fd, data, position)
        except OSError as error:
            self._is_torn = True
            error.filename = self.path
            raise
        if self.size == 0:
            self._first_timestamp = max_timestamp
        if max_timestamp > self._max_timestamp:
            self._max_timestamp, self._offset_of_max = max_timestamp, last_offset
        if self._since_index > index_interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.append(self._max_timestamp, self._offset_of_max)
            self._since_index = 0
        self._since_index += len(data)
        if len(data) > self.largest_batch:
            self.largest_batch = len(data)
        self.size = position + len(data)
        return position

    def locate(self, offset: int) -> Located | None:
        """The first batch with a last offset >= `offset`; None when the segment ends before it."""
        if not self._is_checked:
            self._check()
        position = self.offset_index.lookup(offset)
        while position < self.size:
            chunk = self.disk.pread(self.fd, SCAN_BYTES, position)
            step, size = skip_batches(chunk, offset)
            if size >= 0:
                return Located(position + step, size)
            if step == 0:
                break
            position += step
        return None

    def range(self, position: int, size: int) -> FileRange:
        """The bytes [position, position + size) as a piece of a response; keeps the file open."""
        file = self.file
        return FileRange(file.fd, position, size, file)

    def read(self, position: int, size: int) -> bytes:
        return self.disk.pread(self.fd, size, position)

    def headers(self, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of every whole batch from `position` on; stops at one that is not."""
        while position < self.size:
            chunk = self.disk.pread(self.fd, SCAN_BYTES, position)
            at = 0
            while len(chunk) - at >= HEADER_BYTES:
                try:
                    header = read_header(chunk, at)
                except CorruptBatch:
                    return
                if position + at + header.size > self.size:
                    return
                yield position + at, header
                at += header.size
            if at == 0:
                return
            position += at

    # ---- what can be trusted

    @property
    def max_timestamp(self) -> int:
        if not self._is_checked:
            self._check()
        return self._max_timestamp

    @property
    def offset_of_max(self) -> int:
        if not self._is_checked:
            self._check()
        return self._offset_of_max

    @property
    def first_timestamp(self) -> int:
        if not self._is_checked:
            self._check()
        return self._first_timestamp

    def _check(self) -> None:
        """Look through the indexes of a segment that is not written any more, when they are first
        needed; what is missing or wrong is made anew from the headers of the batches.

        A closed segment has the time of its latest record as its last time entry; none, if none of
        its batches has a timestamp.
        """
        self._is_checked = True
        try:
            self._look_through()
        except OSError:
            self._is_checked = False  # next time it may be possible
            raise

    def _look_through(self) -> None:
        self._read_first_timestamp()
        offsets, times = self.offset_index.file, self.time_index.file
        is_right = offsets.sound() == len(offsets) and times.sound() == len(times)
        is_right = is_right and times.is_whole and self._entries_are_right()
        is_right = is_right and (len(offsets) > 0 or self.size <= WALK_BYTES)
        if is_right and (len(times) or not self._has_timestamps()):
            self._max_timestamp, self._offset_of_max = self.time_index.last()
            return
        log.warning("%s: its indexes are missing or damaged, and made anew", self.path)
        self._forget_indexes()
        try:
            for position, batch in self.headers():
                self._passed(batch, position, INDEX_INTERVAL_BYTES)
        except OSError:
            self._forget_indexes()  # half of them would look right
            raise
        self.close_indexes()

    def _has_timestamps(self) -> bool:
        return any(header.max_timestamp >= 0 for _, header in self.headers())

    def _read_first_timestamp(self) -> None:
        for _, header in self.headers():
            self._first_timestamp = header.max_timestamp
            break

    def _entries_are_right(self) -> bool:
        """Whether the last entry of each index says what is true of a batch."""
        if len(self.offset_index.file):
            offset, position = self.offset_index.last()
            if self._header_at(position, offset) is None:
                return False
        if len(self.time_index.file):
            timestamp, offset = self.time_index.last()
            batch = self._batch_of(offset)
            return batch is not None and batch[1].max_timestamp == timestamp
        return True

    def _header_at(self, position: int, last_offset: int) -> BatchHeader | None:
        """The header at `position`, if it is one and its batch ends with `last_offset`."""
        for _, header in self.headers(position):
            return header if header.last_offset == last_offset else None
        return None

    def _batch_of(self, offset: int) -> tuple[int, BatchHeader] | None:
        """(position, header) of the batch that holds `offset`; the index is sound."""
        for position, header in self.headers(self.offset_index.lookup(offset)):
            if header.last_offset >= offset:
                return position, header
        return None

    def _forget_indexes(self) -> None:
        self.offset_index.file.clear()
        self.time_index.file.clear()
        self._max_timestamp, self._offset_of_max = -1, self.base_offset
        self._since_index = 0

    def _passed(self, batch: BatchHeader, position: int, index_interval_bytes: int) -> None:
        """The indexes learn of a batch that is in the file, as `append` would have had it."""
        if batch.max_timestamp > self._max_timestamp:
            self._max_timestamp, self._offset_of_max = batch.max_timestamp, batch.last_offset
        if self._since_index > index_interval_bytes:
            self.offset_index.append(batch.last_offset, position)
            self.time_index.append(self._max_timestamp, self._offset_of_max)
            self._since_index = 0
        self._since_index += batch.size

    def trusted_position(self, recovery_point: int) -> tuple[int, int]:
        """Where to begin to look at the batches when everything below `recovery_point` is right:
        position and base offset of a batch at or before it such that the indexes, which are cut
        there, are right before it, too.
        """
        self._is_checked = True
        offsets, times = self.offset_index.file, self.time_index.file
        offsets.cut(offsets.sound())
        times.cut(times.sound())
        self.offset_index.cut(recovery_point)
        self.time_index.cut(recovery_point)
        if (len(offsets) and not len(times)) or not self._entries_are_right():
            self._forget_indexes()
        if not len(offsets):
            return 0, self.base_offset
        self._read_first_timestamp()
        # Behind the last time entry may be a later timestamp, whose entry was lost.
        position = min(
            self.offset_index.last()[1], self.offset_index.lookup(self.time_index.last()[1])
        )
        first = next(header for _, header in self.headers(position))
        self.offset_index.cut(first.last_offset + 1)
        self._max_timestamp, self._offset_of_max = self.time_index.last()
        self._since_index = 0  # the first batch has its entry
        return position, first.base_offset

    def headers_from(self, offset: int) -> Iterator[tuple[int, BatchHeader]]:
        """`headers` of the batches that begin at `offset` or later."""
        located = self.locate(max(offset, self.base_offset))
        if located is not None:
            for position, header in self.headers(located.position):
                if header.base_offset >= offset:
                    yield position, header

    def recover(
        self, position: int, *, recovery_point: int, index_interval_bytes: int
    ) -> Iterator[tuple[int, BatchHeader]]:
        """Check every batch from `position` on and complete the indexes; the file is cut behind the
        last good one.

        A generator of (position, header) of good batches; it must be run to its end. Bytes are good
        as far as CRCs are right and offsets ascend; a batch below `recovery_point` whose CRC is
        wrong was good once, and stays; where there is none any more, nothing is cut. The
        transaction index is the caller's: what goes into it depends on what came before this
        segment. Raises Damaged, OSError.
        """
        if position == 0:
            self.largest_batch = 0
        self.load_indexes()
        end = self.disk.size(self.path)
        next_offset, epoch = self.base_offset, -1
        if self._has_behind(position, recovery_point, end):
            self.disk.forget_cached(self.fd, position)
        for batch in good_batches(self, position, end, recovery_point):
            if position == 0:
                self._first_timestamp = batch.max_timestamp
            self._passed(batch, position, index_interval_bytes)
            self.largest_batch = max(self.largest_batch, batch.size)
            position += batch.size
            next_offset, epoch = batch.last_offset + 1, batch.leader_epoch
            yield position - batch.size, batch
        if position < end and next_offset < recovery_point:
            raise Damaged(
                f"{self.path}: there is no batch at position {position}, offset {next_offset}, and"
                " there was one when it was acknowledged: restore the file from a backup or another"
                " replica"
            )
        if position < end:
            report_cut(
                self.disk, self.path, self.fd, position=position, end=end,
                next_offset=next_offset, leader_epoch=epoch,
            )  # fmt: skip
            self.disk.truncate(self.fd, position)
            self.disk.sync(self.fd)  # what came back would stand before the next segment
            if self._offset_of_max >= next_offset:
                self._forget_latest(next_offset)
        self.size = position

    def _has_behind(self, position: int, recovery_point: int, end: int) -> bool:
        """Whether anything from `position` on is not a whole batch below `recovery_point`: what is
        below was synced without an error, and what is in the page cache of it is right."""
        for at, header in self.headers(position):
            position = at + header.size
            if header.last_offset >= recovery_point:
                return True
        return position < end

    def _forget_latest(self, offset: int) -> None:
        """The latest record was at `offset` or later, and is gone."""
        self.time_index.cut(offset)
        self._max_timestamp, self._offset_of_max = self.time_index.last()

    def next_offset(self) -> int:
        """The offset behind the last batch; read from the file's end."""
        _, position = self.offset_index.last()
        last = self.base_offset
        for _, header in self.headers(position):
            last = header.last_offset + 1
        return last

    def close_indexes(self) -> list[str]:
        """`complete_indexes`, and let go of them: the segment will not grow."""
        paths = self.complete_indexes()
        self.forget_indexes()
        return paths

    def complete_indexes(self) -> list[str]:
        """The last time entry, and the index files complete; the segment may grow all the same. The
        files that have changed and are not synced."""
        if self._is_torn:
            self.disk.truncate(self.fd, self.size)
            self._is_torn = False
        if self.max_timestamp >= 0:
            self.time_index.append(self._max_timestamp, self._offset_of_max)
        return self.write_indexes()

    def forget_indexes(self) -> None:
        """Let go of their memory; they are in the files, and loaded again when needed."""
        for index in (self.offset_index, self.time_index, self.txn_index):
            index.file.forget()

    def write_indexes(self) -> list[str]:
        """Bring the index files up to what is in memory; those that have changed, unsynced."""
        indexes = (self.offset_index, self.time_index, self.txn_index)
        return [index.file.path for index in indexes if index.write()]

    def bound(self, position: int) -> int | None:
        """An offset above all batches that end at or before `position`, from the index; None: it
        knows none but the segment's end."""
        return self.offset_index.bound(position)

    def cut(self, position: int, offset: int) -> None:
        """Drop the batches from `position` on, the first of which holds `offset`."""
        self.disk.truncate(self.fd, position)
        self.size = position
        self.offset_index.cut(offset)
        self.time_index.cut(offset)
        self.txn_index.cut(offset)
        self._max_timestamp, self._offset_of_max = self.time_index.last()
        for _, header in self.headers(self.offset_index.last()[1]):
            if header.max_timestamp > self._max_timestamp:
                self._max_timestamp, self._offset_of_max = header.max_timestamp, header.last_offset

    def let_go(self) -> None:
        """Hold the files of a segment that will not grow no longer; an answer on its way may.

        They are opened again when needed. A mapped index holds a descriptor, too.
        """
        self._file = None
        self.forget_indexes()

    def remove(self) -> None:
        """Delete the files."""
        for path in self.retire():
            self.disk.remove(path)

    def retire(self) -> list[str]:
        """Rename the files for deletion; the new paths.

        The indexes that can be made anew before the .log: that they are there without it is then
        not what a crash leaves. The others behind it: a segment that comes back needs them.
        """
        self._file = None
        renamed = []
        for suffix in (INDEX, TIME_INDEX, LOG, TXN_INDEX, SNAPSHOT):
            path = self._beside(suffix)
            if self.disk.exists(path):
                self.disk.rename(path, path + DELETED)
                renamed.append(path + DELETED)
        return renamed


class OpenFile:
    """An fd that is closed when nobody, no segment and no answer under way, holds it any more."""

    __slots__ = ("disk", "fd")

    def __init__(self, disk: Disk, fd: int) -> None:
        self.disk, self.fd = disk, fd

    def __del__(self) -> None:
        self.disk.close(self.fd)
