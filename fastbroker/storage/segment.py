"""One segment: a .log file of batches from a base offset on, with its indexes."""
from __future__ import annotations

import os.path
from collections.abc import Iterator
from typing import NamedTuple

from fastbroker._c.buffer import FileRange
from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    crc_is_right,
    read_header,
    skip_batches,
)
from fastbroker.storage.damage import CUT, report_cut
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.index import OffsetIndex, TimeIndex
from fastbroker.storage.txn_index import TxnIndex

LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT, DELETED = (
    ".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".deleted",
)  # fmt: skip
SCAN_BYTES = 4096  # read at once to find a batch near an index entry
WALK_BYTES = 1 << 20  # read at once to walk over all batches
RELATIVE_MAX = 2**31 - 1
UNKNOWN_SIZE = 2**31


def file_name(base_offset: int, suffix: str) -> str:
    """Kafka's name of a segment's file."""
    return f"{base_offset:020d}{suffix}"


class Located(NamedTuple):
    """A batch's place in its segment."""

    position: int
    size: int


class Segment:
    """Batches [base_offset, next_offset) in one file. Owned by one Log.

    size: bytes of the .log file. first_timestamp: of the first batch, -1 when empty.
    max_timestamp, offset_of_max: the largest timestamp, and the last offset of the batch with it,
    which is what Kafka's time index names.
    The file is opened when first used. An open FileRange keeps it open, see `range`.
    """

    def __init__(
        self, disk: Disk, directory: str, base_offset: int, *, size: int = 0,
        has_txn_index: bool = False,
    ) -> None:  # fmt: skip
        self.disk, self.directory, self.base_offset = disk, directory, base_offset
        self.path = os.path.join(directory, file_name(base_offset, LOG))
        self.size = size
        self.offset_index = OffsetIndex(disk, self._beside(INDEX), base_offset)
        self.time_index = TimeIndex(disk, self._beside(TIME_INDEX), base_offset)
        self.txn_index = TxnIndex(
            disk, self._beside(TXN_INDEX), base_offset, is_there=has_txn_index
        )
        self.max_timestamp, self.offset_of_max = -1, base_offset
        self.first_timestamp = -1
        self.created_ms = 0
        # Bytes of the largest batch, so far as it is known: no batch here is larger.
        self.largest_batch = 0 if size == 0 else UNKNOWN_SIZE
        self._since_index = 0
        self._is_torn = False  # a failed write may have left bytes behind `size`
        self._file: OpenFile | None = None

    def _beside(self, suffix: str) -> str:
        return os.path.join(self.directory, file_name(self.base_offset, suffix))

    @property
    def file(self) -> OpenFile:
        if self._file is None:
            self._file = OpenFile(self.disk, self.disk.open(self.path, create=True))
        return self._file

    @property
    def fd(self) -> int:
        return self.file.fd

    def create(self) -> None:
        """Make the files of a new segment; Kafka's tools expect all of them but a .txnindex."""
        for path in (self.path, self.offset_index.file.path, self.time_index.file.path):
            self.disk.close(self.disk.open(path, create=True))

    def append(
        self, data: Buffer, *, last_offset: int, max_timestamp: int, index_interval_bytes: int
    ) -> int:
        """Write one stamped batch at the end; its position."""
        position = self.size
        try:
            self.disk.pwrite(self.fd, data, position)
        except OSError as error:
            self._is_torn = True
            error.filename = self.path
            raise
        if self.size == 0:
            self.first_timestamp = max_timestamp
        if max_timestamp > self.max_timestamp:
            self.max_timestamp, self.offset_of_max = max_timestamp, last_offset
        if self._since_index > index_interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.append(self.max_timestamp, self.offset_of_max)
            self._since_index = 0
        self._since_index += len(data)
        if len(data) > self.largest_batch:
            self.largest_batch = len(data)
        self.size = position + len(data)
        return position

    def locate(self, offset: int) -> Located | None:
        """The first batch with a last offset >= `offset`; None when the segment ends before it."""
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

    def recover(self, *, index_interval_bytes: int) -> Iterator[tuple[int, BatchHeader]]:
        """Check every batch and make the indexes anew; the file is cut behind the last good one.

        A generator of (position, header) of good batches; it must be run to its end. Bytes are good
        as far as CRCs are right and offsets ascend. The transaction index is left empty: what goes
        into it depends on what came before this segment.
        """
        self.offset_index.file.clear()
        self.time_index.file.clear()
        self.txn_index.clear()
        self.max_timestamp, self.offset_of_max = -1, self.base_offset
        self._since_index = self.largest_batch = 0
        self.disk.forget_cached(self.fd)
        end = self.disk.size(self.path)
        position, next_offset, epoch = 0, self.base_offset, -1
        for batch in self._good_batches(end):
            if position == 0:
                self.first_timestamp = batch.max_timestamp
            if batch.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.offset_of_max = batch.max_timestamp, batch.last_offset
            if self._since_index > index_interval_bytes:
                self.offset_index.append(batch.last_offset, position)
                self.time_index.append(self.max_timestamp, self.offset_of_max)
                self._since_index = 0
            self._since_index += batch.size
            self.largest_batch = max(self.largest_batch, batch.size)
            position += batch.size
            next_offset, epoch = batch.last_offset + 1, batch.leader_epoch
            yield position - batch.size, batch
        if position < end:
            report_cut(
                self.disk, self.path, self.fd, position=position, end=end,
                next_offset=next_offset, leader_epoch=epoch,
            )  # fmt: skip
            self.disk.truncate(self.fd, position)
        self.size = position

    def _good_batches(self, end: int) -> Iterator[BatchHeader]:
        """Headers of the batches before the first that is not whole, checked and in order."""
        position, next_offset, need = 0, self.base_offset, HEADER_BYTES
        while end - position >= need:
            data = memoryview(self.disk.pread(self.fd, max(WALK_BYTES, need), position))
            at, need = 0, HEADER_BYTES
            while len(data) - at >= HEADER_BYTES:
                try:
                    header = read_header(data, at)
                except CorruptBatch:
                    return
                if header.base_offset < next_offset or header.last_offset < header.base_offset:
                    return
                if at + header.size > len(data):
                    need = header.size  # it goes on behind what was read
                    break
                if not crc_is_right(data, header, at) or self._is_elsewhere(
                    header, next_offset, data, at + header.size
                ):
                    return
                yield header
                at += header.size
                next_offset = header.last_offset + 1
            position += at

    def _is_elsewhere(
        self, header: BatchHeader, next_offset: int, data: Buffer, behind: int
    ) -> bool:
        """Whether the offset of a batch, which no CRC covers, cannot be right: the next begins
        below its end, or it is too far away for this segment.

        Gaps alone are what compaction leaves.
        """
        if header.last_offset - self.base_offset > RELATIVE_MAX:
            return True
        if header.base_offset == next_offset or len(data) - behind < HEADER_BYTES:
            return False
        try:
            return read_header(data, behind).base_offset <= header.last_offset
        except CorruptBatch:
            return False

    def load_times(self) -> None:
        """Learn the largest and the first timestamp of a segment that was closed cleanly."""
        self.max_timestamp, self.offset_of_max = self.time_index.last()
        _, position = self.offset_index.last()
        for _, header in self.headers(position):
            if header.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.offset_of_max = header.max_timestamp, header.last_offset
        for _, header in self.headers(0):
            self.first_timestamp = header.max_timestamp
            break

    def next_offset(self) -> int:
        """The offset behind the last batch; read from the file's end."""
        _, position = self.offset_index.last()
        last = self.base_offset
        for _, header in self.headers(position):
            last = header.last_offset + 1
        return last

    def close_indexes(self) -> None:
        """The last time entry, and the index files complete: the segment will not grow."""
        if self._is_torn:
            self.disk.truncate(self.fd, self.size)
            self._is_torn = False
        if self.max_timestamp >= 0:
            self.time_index.append(self.max_timestamp, self.offset_of_max)
        self.offset_index.file.release()
        self.time_index.file.release()
        self.txn_index.release()

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
        self.max_timestamp, self.offset_of_max = -1, self.base_offset
        self.load_times()

    def close(self) -> None:
        """Write what is in memory and let the file go."""
        self.close_indexes()
        self.let_go()

    def let_go(self) -> None:
        """Hold the file no longer; an answer on its way may. It is opened again when needed."""
        self._file = None

    def write_indexes(self) -> None:
        """Sync the file and what recovery has made of its indexes."""
        self.disk.sync(self.fd)
        self.offset_index.file.write()
        self.time_index.file.write()
        self.txn_index.write()

    def remove(self) -> None:
        """Delete the files."""
        for path in self.retire():
            self.disk.remove(path)

    def set_aside(self) -> str:
        """Keep the .log under another name, for whoever wants to have a look; the new path."""
        kept = f"{self.path}.0{CUT}"
        self.disk.rename(self.path, kept)
        self.remove()
        return kept

    def retire(self) -> list[str]:
        """Rename the files for deletion; the new paths.

        The .log last: an index without one is then not what a crash leaves.
        """
        self._file = None
        renamed = []
        for suffix in (INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT, LOG):
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
