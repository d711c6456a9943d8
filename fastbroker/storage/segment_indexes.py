"""The indexes of one segment: which of them can be trusted, and how they are made anew.

Index files are not synced before their segment is closed, nor do a crash or Kafka's tools leave
them complete: what is in one counts only once it was looked through.
"""
from __future__ import annotations

import logging

from fastbroker._c.record_batch import BatchHeader
from fastbroker.storage.batch_file import BatchFile
from fastbroker.storage.disk import Disk
from fastbroker.storage.good_batches import WALK_BYTES
from fastbroker.storage.index import OffsetIndex, TimeIndex
from fastbroker.storage.segment_files import INDEX, TIME_INDEX, TXN_INDEX, file_name
from fastbroker.storage.txn_index import TxnIndex

log = logging.getLogger(__name__)

INDEX_INTERVAL_BYTES = 4096  # of indexes that are made anew


class SegmentIndexes:
    """Owned by a Segment, whose batches are given to what has to read some.

    max_timestamp, offset_of_max: the largest timestamp, and the last offset of the batch with it,
    which is what Kafka's time index names. first_timestamp: of the first batch, -1: there is none.
    is_checked: the indexes are right, and the timestamps known.
    """

    __slots__ = (
        "_since_index", "base_offset", "first_timestamp", "is_checked", "max_timestamp",
        "offset_index", "offset_of_max", "time_index", "txn_index",
    )  # fmt: skip

    def __init__(
        self, disk: Disk, directory: str, base_offset: int, *, is_new: bool, has_txn_index: bool
    ) -> None:
        self.base_offset = base_offset
        stem = f"{directory}/{file_name(base_offset, '')}"
        self.offset_index = OffsetIndex(disk, stem + INDEX, base_offset)
        self.time_index = TimeIndex(disk, stem + TIME_INDEX, base_offset)
        self.txn_index = TxnIndex(disk, stem + TXN_INDEX, base_offset, is_there=has_txn_index)
        self.max_timestamp, self.offset_of_max = -1, base_offset
        self.first_timestamp = -1
        self.is_checked = is_new
        self._since_index = 0  # bytes of batches behind the one with the last entry

    # ---- batches are added

    def load(self) -> None:
        """Have them in memory, so that nothing about them can fail once a batch is written."""
        for index in (self.offset_index, self.time_index, self.txn_index):
            index.file.entries()

    def prepare(self, index_interval_bytes: int) -> None:
        """Before a batch is written: `passed` does not fail then. Raises OSError."""
        if self._since_index > index_interval_bytes:
            self.offset_index.file.entries()
            self.time_index.file.entries()

    def passed(
        self, position: int, size: int, *, last_offset: int, max_timestamp: int,
        index_interval_bytes: int,
    ) -> None:  # fmt: skip
        """Learn of a batch in the file, behind all that are known."""
        if position == 0:
            self.first_timestamp = max_timestamp
        if max_timestamp > self.max_timestamp:
            self.max_timestamp, self.offset_of_max = max_timestamp, last_offset
        if self._since_index > index_interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.append(self.max_timestamp, self.offset_of_max)
            self._since_index = 0
        self._since_index += size

    def are_full(self, limit_bytes: int) -> bool:
        """Whether one of the files has no room for another entry; when the segment is closed, the
        time index gets one more."""
        return (
            self.offset_index.file.size > limit_bytes - 8
            or self.time_index.file.size > limit_bytes - 24
        )

    # ---- those of a segment that is not written any more

    def check(self, batches: BatchFile) -> None:
        """Look through the indexes of a segment that is not written any more, when they are first
        needed; what is missing or wrong is made anew from the headers of the batches.

        A closed segment has the time of its latest record as its last time entry; none, if none of
        its batches has a timestamp. Raises OSError: next time it may be possible.
        """
        self._read_first_timestamp(batches)
        offsets, times = self.offset_index.file, self.time_index.file
        is_right = offsets.sound() == len(offsets) and times.sound() == len(times)
        is_right = is_right and times.is_whole and self._entries_are_right(batches)
        is_right = is_right and (len(offsets) > 0 or batches.size <= WALK_BYTES)
        if is_right and (len(times) or not _have_timestamps(batches)):
            self.max_timestamp, self.offset_of_max = self.time_index.last()
        else:
            log.warning("%s: its indexes are missing or damaged, and made anew", batches.path)
            self._make_anew(batches)
        self.is_checked = True

    def _make_anew(self, batches: BatchFile) -> None:
        self._clear()
        try:
            for position, batch in batches.headers():
                self.passed_header(position, batch, INDEX_INTERVAL_BYTES)
        except OSError:
            self._clear()  # half of them would look right
            raise
        self.complete()
        self.forget()

    def _clear(self) -> None:
        self.offset_index.file.clear()
        self.time_index.file.clear()
        self.max_timestamp, self.offset_of_max = -1, self.base_offset
        self._since_index = 0

    def passed_header(self, position: int, batch: BatchHeader, index_interval_bytes: int) -> None:
        """`passed`, of a batch that was found there."""
        self.passed(
            position, batch.size, last_offset=batch.last_offset,
            max_timestamp=batch.max_timestamp, index_interval_bytes=index_interval_bytes,
        )  # fmt: skip

    def _read_first_timestamp(self, batches: BatchFile) -> None:
        first = batches.header_at(0)
        if first is not None:
            self.first_timestamp = first.max_timestamp

    def _entries_are_right(self, batches: BatchFile) -> bool:
        """Whether the last entry of each index says what is true of a batch."""
        if len(self.offset_index.file):
            offset, position = self.offset_index.last()
            named = batches.header_at(position)
            if named is None or named.last_offset != offset:
                return False
        if len(self.time_index.file):
            timestamp, offset = self.time_index.last()
            batch = self._batch_of(offset, batches)
            return batch is not None and batch.max_timestamp == timestamp
        return True

    def _batch_of(self, offset: int, batches: BatchFile) -> BatchHeader | None:
        """The batch that holds `offset`; the index is sound."""
        for _, header in batches.headers(self.offset_index.lookup(offset)):
            if header.last_offset >= offset:
                return header
        return None

    # ---- recovery

    def trusted_position(self, batches: BatchFile, recovery_point: int) -> tuple[int, int]:
        """Where to begin to look at the batches when everything below `recovery_point` is right:
        position and base offset of a batch at or before it such that the indexes, which are cut
        there, are right before it, too.
        """
        self.is_checked = True
        offsets, times = self.offset_index.file, self.time_index.file
        offsets.cut(offsets.sound())
        times.cut(times.sound())
        self.offset_index.cut(recovery_point)
        self.time_index.cut(recovery_point)
        if (len(offsets) and not len(times)) or not self._entries_are_right(batches):
            self._clear()
        if not len(offsets):
            return 0, self.base_offset
        self._read_first_timestamp(batches)
        # Behind the last time entry may be a later timestamp, whose entry was lost.
        position = min(
            self.offset_index.last()[1], self.offset_index.lookup(self.time_index.last()[1])
        )
        first = batches.header_at(position)
        assert first is not None, "the entries are right"
        self.offset_index.cut(first.last_offset + 1)
        self.max_timestamp, self.offset_of_max = self.time_index.last()
        self._since_index = 0  # the first batch has its entry
        return position, first.base_offset

    def cut_latest(self, offset: int) -> None:
        """The log was cut at `offset`; what was the latest record may be gone."""
        if self.offset_of_max >= offset:
            self.time_index.cut(offset)
            self.max_timestamp, self.offset_of_max = self.time_index.last()

    # ---- changes of a segment that is in use

    def cut(self, batches: BatchFile, offset: int) -> None:
        """The batches that hold `offset` and later ones are gone."""
        for index in (self.offset_index, self.time_index, self.txn_index):
            index.cut(offset)
        self.max_timestamp, self.offset_of_max = self.time_index.last()
        for _, header in batches.headers(self.offset_index.last()[1]):
            if header.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.offset_of_max = header.max_timestamp, header.last_offset

    def complete(self) -> list[str]:
        """The last time entry, and the files complete; the segment may grow all the same. The files
        that have changed and are not synced."""
        if self.max_timestamp >= 0:
            self.time_index.append(self.max_timestamp, self.offset_of_max)
        return self.write()

    def write(self) -> list[str]:
        """Bring the files up to what is in memory; those that have changed, unsynced."""
        indexes = (self.offset_index, self.time_index, self.txn_index)
        return [index.file.path for index in indexes if index.write()]

    @property
    def are_loaded(self) -> bool:
        """Whether one of those by which batches are found is in memory."""
        return self.offset_index.file.is_loaded or self.time_index.file.is_loaded

    def forget(self) -> None:
        """Let go of their memory; they are in the files, and loaded again when needed."""
        for index in (self.offset_index, self.time_index, self.txn_index):
            index.file.forget()


def _have_timestamps(batches: BatchFile) -> bool:
    return any(header.max_timestamp >= 0 for _, header in batches.headers())
