"""Which transactions of a segment were aborted: its .txnindex file (KIP-98).

    file   := entry*
    entry  := version:int16=0 producer_id:int64 first_offset:int64 last_offset:int64
              last_stable_offset:int64

An entry belongs to the segment that holds the abort marker, at `last_offset`; what was aborted may
begin in an earlier one. `last_stable_offset` is the first offset of the oldest transaction that was
still open then, or the offset behind the marker: no entry after this one is about an offset below.
Both ascend. Most segments have no entries, and then no file.
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from struct import Struct as Layout
from typing import NamedTuple

from fastbroker.storage.disk import Disk
from fastbroker.storage.index import IndexFile

_ENTRY = Layout(">hqqqq")
_VERSION = 0


class AbortedTransaction(NamedTuple):
    """What of one transaction was aborted here: the producer's transactional batches in
    [first_offset, last_offset], where last_offset is the marker's."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def packed(transactions: Iterable[AbortedTransaction]) -> bytes:
    """The content of a file with these entries."""
    return b"".join(_ENTRY.pack(_VERSION, *one) for one in transactions)


class TxnIndex:
    """Owned by its segment. Entries of the segment being written are in memory until `write`, and
    recovery makes them anew from the batches.

    last_marker: offset of the last abort marker; -1: none. is_there: whether a file may be.
    is_synced: what `write` has brought to the file is on the medium, see `synced`.
    """

    __slots__ = ("_is_there", "base_offset", "file", "is_synced", "last_marker")

    def __init__(self, disk: Disk, path: str, base_offset: int, *, is_there: bool) -> None:
        self.base_offset = base_offset
        self.file = IndexFile(disk, path, width=_ENTRY.size, key_bytes=8)
        self.last_marker = -1
        self.is_synced = True
        self._is_there = is_there
        if not is_there:
            self.file.begin()

    def load(self) -> bool:
        """Learn what the file has; False when it cannot be this segment's."""
        if not self._is_there:
            return True
        marker = -1
        for version, _, first, last, stable in _ENTRY.iter_unpack(self.file.entries()):
            if version != _VERSION or last < self.base_offset or last <= marker:
                return False
            if not 0 <= first <= last or stable < 0:
                return False
            marker = last
        self.last_marker = marker
        self.file.forget()
        return True

    def append(self, aborted: AbortedTransaction) -> None:
        """Add the entry of a marker that was written behind all others."""
        assert aborted.last_offset > self.last_marker
        self.file.append(_ENTRY.pack(_VERSION, *aborted))
        self.last_marker = aborted.last_offset

    def overlapping(self, start: int, end: int) -> tuple[list[AbortedTransaction], bool]:
        """Entries with an offset in [start, end); whether none in later segments can have one."""
        if self.last_marker < start:
            return [], False
        entries = memoryview(self.file.entries())
        first = bisect_left(range(len(self.file)), start, key=self._marker)
        found = []
        for _, producer_id, begun, last, stable in _ENTRY.iter_unpack(
            entries[first * _ENTRY.size :]
        ):
            if begun < end:
                found.append(AbortedTransaction(producer_id, begun, last, stable))
            if stable >= end:
                return found, True
        return found, False

    def _marker(self, number: int) -> int:
        return int(_ENTRY.unpack_from(self.file.entries(), number * _ENTRY.size)[3])

    def cut(self, offset: int) -> None:
        """Drop the entries of markers at `offset` or later."""
        if self.last_marker < offset:
            return
        count = bisect_left(range(len(self.file)), offset, key=self._marker)
        self.file.cut(count)
        self.last_marker = self._marker(count - 1) if count else -1

    def clear(self) -> None:
        """Forget all entries: they will be made anew."""
        if self._is_there:
            self.file.clear()
        self.last_marker = -1

    def write(self) -> bool:
        """Bring the file up to the entries in memory, unsynced; whether it had to change."""
        if self.last_marker < 0 or not self.file.write():
            return False
        self._is_there, self.is_synced = True, False
        return True

    def synced(self) -> None:
        """The file was synced after the last `write`."""
        self.is_synced = True
