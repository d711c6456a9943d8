"""One segment: a .log file of batches from a base offset on, with its indexes."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader, CorruptBatch, skip_batches
from fastbroker.config.kinds import LONG_MAX
from fastbroker.storage.batch_file import SCAN_BYTES, BatchFile
from fastbroker.storage.damage import Damaged, report_cut
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.good_batches import good_batches
from fastbroker.storage.segment_files import (
    DELETED,
    INDEX,
    LOG,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    file_name,
)
from fastbroker.storage.segment_indexes import SegmentIndexes

UNKNOWN_SIZE = 2**31


class Located(NamedTuple):
    """A batch's place in its segment."""

    position: int
    size: int


class Segment(BatchFile):
    """Batches [base_offset, next_offset) in one file. Owned by one Log.

    largest_batch: in bytes, so far as it is known: no batch here is larger.
    """

    __slots__ = (
        "_created_ms", "_is_torn", "base_offset", "directory", "indexes", "largest_batch",
    )  # fmt: skip

    def __init__(
        self, disk: Disk, directory: str, base_offset: int, *, size: int = 0,
        created_ms: int | None = None, has_txn_index: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(disk, f"{directory}/{file_name(base_offset, LOG)}", size)
        self.directory, self.base_offset = directory, base_offset
        self._created_ms = created_ms
        self.largest_batch = 0 if size == 0 else UNKNOWN_SIZE
        self.indexes = SegmentIndexes(
            disk, directory, base_offset, is_new=size == 0, has_txn_index=has_txn_index
        )
        self._is_torn = False  # a failed write may have left bytes behind `size`

    @property
    def created_ms(self) -> int:
        """When the file was made, or had last been written when this was first asked."""
        if self._created_ms is None:
            self._created_ms = self.disk.modified_ms(self.path)
        return self._created_ms

    def create(self) -> None:
        """Make the files of a new segment; Kafka's tools expect all of them but a .txnindex.

        The .log first: an index without one is then not what a crash leaves.
        """
        made: list[str] = []
        indexes = self.indexes
        try:
            for path in (
                self.path, indexes.offset_index.file.path, indexes.time_index.file.path
            ):  # fmt: skip
                self.disk.close(self.disk.open(path, create=True))
                made.append(path)
            indexes.load()
        except OSError:
            for path in reversed(made):  # it would end the segment before it at the next start
                self.disk.remove(path)
            raise

    def append(
        self, data: Buffer, *, last_offset: int, max_timestamp: int, index_interval_bytes: int
    ) -> int:
        """Write one stamped batch at the end; its position. Raises OSError: nothing was added."""
        position, size, indexes = self.size, len(data), self.indexes
        indexes.prepare(index_interval_bytes)
        try:
            self.disk.pwrite((self._file or self.file).fd, data, position)
        except OSError as error:
            self._is_torn = True
            error.filename = self.path
            raise
        indexes.passed(
            position, size, last_offset=last_offset, max_timestamp=max_timestamp,
            index_interval_bytes=index_interval_bytes,
        )  # fmt: skip
        if size > self.largest_batch:
            self.largest_batch = size
        self.size = position + size
        return position

    # ---- what is in it

    @property
    def checked(self) -> SegmentIndexes:
        """Its indexes, looked through. Raises OSError."""
        indexes = self.indexes
        if not indexes.is_checked:
            indexes.check(self)
        return indexes

    @property
    def max_timestamp(self) -> int:
        """-1: no batch has one."""
        return self.checked.max_timestamp

    @property
    def first_timestamp(self) -> int:
        """Of the first batch; -1: there is none."""
        return self.checked.first_timestamp

    @property
    def latest_ms(self) -> int:
        """The largest timestamp; without any, when the file was last written, as on Kafka."""
        return self.max_timestamp if self.max_timestamp >= 0 else self.disk.modified_ms(self.path)

    def locate(self, offset: int) -> Located | None:
        """The first batch with a last offset >= `offset`; None when the segment ends before it."""
        indexes = self.indexes if self.indexes.is_checked else self.checked
        position, end = indexes.offset_index.lookup(offset), self.size
        disk, fd = self.disk, self.fd
        while position < end:
            chunk = disk.pread(fd, min(SCAN_BYTES, end - position), position)
            step, size = skip_batches(chunk, offset)
            if size >= 0:
                return Located(position + step, size)
            if step == 0:
                break
            position += step
        return None

    def headers_from(self, offset: int) -> Iterator[tuple[int, BatchHeader]]:
        """`headers` of the batches that begin at `offset` or later; none where the way to them is
        damaged."""
        try:
            located = self.locate(max(offset, self.base_offset))
        except CorruptBatch:
            return
        if located is not None:
            for position, header in self.headers(located.position):
                if header.base_offset >= offset:
                    yield position, header

    def next_offset(self) -> int:
        """The offset behind the last batch; read from the file's end."""
        _, position = self.indexes.offset_index.last()
        last = self.base_offset
        for _, header in self.headers(position):
            last = header.last_offset + 1
        return last

    def bound(self, position: int) -> int | None:
        """An offset above all batches that end at or before `position`, from the index; None: it
        knows none but the segment's end."""
        return self.indexes.offset_index.bound(position)

    # ---- recovery

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
        self.indexes.load()
        end = self.size
        next_offset, epoch = self.base_offset, -1
        is_closed = recovery_point == LONG_MAX  # by a process that knew of no failed sync
        if not is_closed and self._has_behind(position, recovery_point, end):
            self.disk.forget_cached(self.fd, position)
        for batch in good_batches(
            self, position, end, base_offset=self.base_offset, recovery_point=recovery_point
        ):
            self.indexes.passed_header(position, batch, index_interval_bytes)
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
            self.indexes.cut_latest(next_offset)
        self.size = position

    def _has_behind(self, position: int, recovery_point: int, end: int) -> bool:
        """Whether anything from `position` on is not a whole batch below `recovery_point`: what is
        below was synced without an error, and what is in the page cache of it is right."""
        for at, header in self.headers(position):
            position = at + header.size
            if header.last_offset >= recovery_point:
                return True
        return position < end

    # ---- changes

    def complete_indexes(self) -> list[str]:
        """See SegmentIndexes.complete."""
        if self._is_torn:
            self.disk.truncate(self.fd, self.size)
            self._is_torn = False
        return self.checked.complete()

    def cut(self, position: int, offset: int) -> None:
        """Drop the batches from `position` on, the first of which holds `offset`."""
        self.disk.truncate(self.fd, position)
        self.size = position
        self.indexes.cut(self, offset)

    @property
    def is_idle(self) -> bool:
        """Whether none of its files is held."""
        return self._file is None and not self.indexes.are_loaded

    def let_go(self) -> None:
        """Hold the files of a segment that will not grow no longer; an answer on its way may.

        They are opened again when needed. A mapped index holds a descriptor, too.
        """
        self._file = None
        self.indexes.forget()

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
            path = f"{self.directory}/{file_name(self.base_offset, suffix)}"
            if self.disk.exists(path):
                self.disk.rename(path, path + DELETED)
                renamed.append(path + DELETED)
        return renamed
