"""Entries of .index and .timeindex, met in the order of the batches that they are about.

Grammars: storage/index.py. Apache Kafka makes the files of the segment being written larger than
they are filled; the zeros at their end are no entries.
"""
from __future__ import annotations

from struct import Struct as Layout

from fastbroker._c.record_batch import BatchHeader
from fastbroker.storage.verify.finding import Faults, Severity

_OFFSET = Layout(">II")
_TIME = Layout(">qI")
_ZEROS = bytes(1 << 16)
SPARSE_BYTES = 4 << 20  # a search should not have to read so much


class _Entries:
    """Whole entries of one file, in order; `number` is of the next one."""

    def __init__(
        self, data: bytes, layout: Layout, *, path: str, faults: Faults, padded: bool
    ) -> None:
        self.path, self.faults = path, faults
        self._data, self._layout = data, layout
        width = layout.size
        used = -(-(_without_zeros(data) if padded else len(data)) // width)
        self.count = min(used, len(data) // width)
        self.number = 0
        if used > self.count:
            what = f"{len(data) % width} bytes behind the last whole entry"
            self.fault(what, "", Severity.NOTE)

    def peek(self) -> tuple[int, int] | None:
        """The next entry; None: there is none."""
        if self.number >= self.count:
            return None
        return self._layout.unpack_from(self._data, self.number * self._layout.size)

    def fault(
        self, what: str, place: str | None = None, if_left: Severity = Severity.DAMAGE
    ) -> None:
        where = f"entry {self.number}" if place is None else place
        self.faults.add(self.path, what, place=where, if_left=if_left)


def _without_zeros(data: bytes) -> int:
    """Bytes up to the last that is not zero; fast for files that are mostly zeros."""
    end = len(data)
    while end >= len(_ZEROS) and data[end - len(_ZEROS) : end] == _ZEROS:
        end -= len(_ZEROS)
    begin = max(end - len(_ZEROS), 0)
    return begin + len(data[begin:end].rstrip(b"\0"))


class OffsetEntries(_Entries):
    """Each says that the batch at its position ends at its offset."""

    def __init__(
        self, data: bytes, base_offset: int, *, path: str, faults: Faults, padded: bool
    ) -> None:
        super().__init__(data, _OFFSET, path=path, faults=faults, padded=padded)
        self._base = base_offset
        self._last = (-1, -1)
        self._last_position = self._hole = self._batches = 0

    def batch(self, position: int, header: BatchHeader) -> None:
        """A good batch lies at `position`."""
        self._batches += 1
        while (entry := self._next(position)) is not None:
            offset = self._base + entry[0]
            if entry[1] < position:
                self.fault(f"it points at position {entry[1]}, where no batch begins")
            elif offset != header.last_offset:
                self.fault(
                    f"it names offset {offset}, the batch at position {position} ends at"
                    f" {header.last_offset}"
                )
            self._seen(entry)

    def bad(self, end: int) -> None:
        """No good batch lies before `end`: what points there cannot be judged."""
        while (entry := self._next(end - 1)) is not None:
            self._seen(entry)

    def finish(self, size: int) -> None:
        """The segment has `size` bytes."""
        while (entry := self.peek()) is not None:
            if entry[0] <= self._last[0] or entry[1] <= self._last[1]:
                self.fault(f"{entry} is not behind the entry before it, {self._last}")
                self.number += 1
                continue
            self.fault(f"it points at position {entry[1]}, the segment has {size} bytes")
            self._seen(entry)
        self._hole = max(self._hole, size - self._last_position if self._batches > 1 else 0)
        if self._hole > SPARSE_BYTES and self._batches > 1:
            what = f"a search may have to read {self._hole} bytes: entries are far apart"
            self.fault(what, "", Severity.NOTE)

    def _next(self, position: int) -> tuple[int, int] | None:
        """The next entry when it points at or before `position`; such as go back are passed."""
        while (entry := self.peek()) is not None:
            if entry[0] <= self._last[0] or entry[1] <= self._last[1]:
                self.fault(f"{entry} is not behind the entry before it, {self._last}")
                self.number += 1
                continue
            return entry if entry[1] <= position else None
        return None

    def _seen(self, entry: tuple[int, int]) -> None:
        if self._batches > 1:
            self._hole = max(self._hole, entry[1] - self._last_position)
        self._batches = 0
        self._last, self._last_position = entry, entry[1]
        self.number += 1


class TimeEntries(_Entries):
    """Each says that the batch at its offset has its timestamp, and none before it a later one."""

    def __init__(
        self, data: bytes, base_offset: int, *, path: str, faults: Faults, padded: bool
    ) -> None:
        super().__init__(data, _TIME, path=path, faults=faults, padded=padded)
        self._base = base_offset
        self._last = (-1, -1)
        self._latest = -1
        self._is_certain = True  # every batch so far was good

    def batch(self, header: BatchHeader) -> None:
        """The next good batch."""
        while (entry := self.peek()) is not None and self._base + entry[1] <= header.last_offset:
            offset = self._base + entry[1]
            if entry[0] <= self._last[0] or entry[1] < self._last[1]:
                self.fault(f"{entry} is not behind the entry before it, {self._last}")
                self.number += 1
                continue
            if offset < header.base_offset:
                if self._is_certain:
                    self.fault(f"it names offset {offset}, which no batch holds")
            elif header.max_timestamp != entry[0]:
                self.fault(
                    f"it has the timestamp {entry[0]}, the batch with offset {offset} has"
                    f" {header.max_timestamp}"
                )
            elif self._latest > entry[0]:
                self.fault(
                    f"it says that nothing up to offset {offset} is later than {entry[0]}, a batch"
                    f" before it has {self._latest}"
                )
            self._last = entry
            self.number += 1
        self._latest = max(self._latest, header.max_timestamp)

    def bad(self) -> None:
        """A batch that is not good: what is about it cannot be judged."""
        self._is_certain = False

    def finish(self, *, is_complete: bool) -> None:
        """The segment has ended; is_complete: its last entry should name its largest timestamp."""
        while (entry := self.peek()) is not None:
            if self._is_certain:
                offset = self._base + entry[1]
                self.fault(f"it names offset {offset}, which is behind the segment's end")
            self._last = entry
            self.number += 1
        if is_complete and self._is_certain and self._last[0] < self._latest:
            self.fault(
                f"it ends at the timestamp {self._last[0]}, the segment at {self._latest}:"
                " searches by time pass over the segment, and retention takes it too early",
                "",
            )
