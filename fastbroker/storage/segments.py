"""A log's segments in their order: where an offset lies in them, and what is read from there."""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple, overload

from fastbroker._c.buffer import FileRange
from fastbroker._c.record_batch import HEADER_BYTES, read_header, whole_batches
from fastbroker.storage.segment import Segment
from fastbroker.storage.txn_index import AbortedTransaction

_VERSIONS = count()
RECENT_MAX = 128  # offsets whose positions are remembered, for readers at the end of the log


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


class Segments(Sequence[Segment]):
    """Ascending by base offset, one at least once the log is open; the last is the one that is
    written, `last`. Owned by one Log.

    Each segment ends where the next begins; compaction leaves gaps in the offsets within.
    version: another one, never seen before in this process, after every change but an append.
    """

    __slots__ = ("_all", "_bases", "_recent", "last", "version")
    last: Segment

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self._all = list(segments)
        self._bases = [segment.base_offset for segment in self._all]
        if self._all:
            self.last = self._all[-1]
        self._recent: dict[int, tuple[Segment, int]] = {}
        self.version = next(_VERSIONS)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, number: int) -> Segment: ...

    @overload
    def __getitem__(self, number: slice) -> list[Segment]: ...

    def __getitem__(self, number: int | slice) -> Segment | list[Segment]:
        return self._all[number]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(segment.size for segment in self._all)

    # ---- changes

    def append(self, segment: Segment) -> None:
        """Add one behind the last."""
        self._all.append(segment)
        self.last = segment
        self._bases.append(segment.base_offset)

    def drop_first(self, count: int) -> list[Segment]:
        """Take the first `count` out."""
        dropped = self._all[:count]
        self._set(self._all[count:])
        return dropped

    def drop_last(self) -> Segment:
        """Take the last out."""
        dropped = self._all[-1]
        self._set(self._all[:-1])
        return dropped

    def are_closed(self, some: list[Segment]) -> bool:
        """Whether `some` are here, next to each other, and before the one that is written."""
        if some[0] not in self._all:
            return False
        at = self._all.index(some[0])
        return self._all[at : at + len(some)] == some and at + len(some) < len(self._all)

    def replace(self, old: list[Segment], new: list[Segment]) -> None:
        """Put `new` where `old`, neighbours, are; readers find the one or the other."""
        at = self._all.index(old[0])
        self._set([*self._all[:at], *new, *self._all[at + len(old) :]])

    def _set(self, segments: list[Segment]) -> None:
        self._all = segments
        if segments:
            self.last = segments[-1]
        self._bases = [segment.base_offset for segment in segments]
        self._recent.clear()
        self.version = next(_VERSIONS)

    # ---- where offsets are

    def remember(self, offset: int, segment: Segment, position: int) -> None:
        """The batch that begins with `offset` is at `position`: somebody will soon ask for it."""
        recent = self._recent
        if len(recent) >= RECENT_MAX:
            for old in list(recent)[: RECENT_MAX // 2]:
                del recent[old]
        recent[offset] = segment, position

    def forget_recent(self) -> bool:
        """Whether anything was written or read by copying since this was asked the last time."""
        was_used = bool(self._recent)
        self._recent.clear()
        return was_used

    def end_of(self, segment: Segment, log_end_offset: int) -> int:
        """The offset at which the next one begins."""
        if segment is self.last:
            return log_end_offset
        number = bisect_right(self._bases, segment.base_offset)
        return self._bases[number] if number < len(self._bases) else log_end_offset

    def from_offset(self, offset: int) -> Iterator[Segment]:
        """The segment that `offset` lies in, and those behind it."""
        for number in range(max(bisect_right(self._bases, offset) - 1, 0), len(self._all)):
            yield self._all[number]

    def find(self, offset: int) -> tuple[Segment, int, int]:
        """(segment, position, size or 0) of the batch that holds `offset` or the next one."""
        known = self._recent.get(offset)
        if known is not None:
            return known[0], known[1], 0
        number = max(bisect_right(self._bases, offset) - 1, 0)
        while number < len(self._all):
            segment = self._all[number]
            located = segment.locate(max(offset, segment.base_offset))
            if located is not None:
                return segment, located.position, located.size
            number += 1  # the rest of that segment was compacted away
        last = self._all[-1]
        return last, last.size, 0

    # ---- reading

    def read(
        self, offset: int, *, max_bytes: int, max_offset: int, log_end_offset: int,
        at_least_one: bool,
    ) -> Slice:  # fmt: skip
        """See Log.read; `offset` lies in the log."""
        if offset >= max_offset:
            return Slice(self._all[-1], 0, 0)
        segment, position, first_size = self.find(offset)
        last = min(max_offset, log_end_offset)
        end = segment.size
        if last < self.end_of(segment, log_end_offset):
            other, before, _ = self.find(last)
            # The batch that holds `last` may be in a later segment: all of this one is before it.
            end = before if other is segment else end
        size = end - position
        if size > max_bytes:
            size = max_bytes
            if at_least_one and max_bytes < segment.largest_batch:
                size = max(size, first_size or _size_at(segment, position))
        return Slice(segment, position, max(size, 0))

    def copy(self, piece: Slice) -> bytes:
        """The bytes of a slice; where the batch behind them is, a reader's next, is remembered."""
        data = piece.read_bytes()
        size, next_offset = whole_batches(data)
        position = piece.position + size
        if size > 0 and position < piece.segment.size:
            self.remember(next_offset, piece.segment, position)
        return data

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """See Log.aborted_transactions."""
        found: list[AbortedTransaction] = []
        for segment in self.from_offset(start):
            more, is_all = segment.indexes.txn_index.overlapping(start, end)
            found += more
            if is_all:
                break
        return found

    @property
    def last_abort(self) -> int:
        """Offset of the last abort marker; -1: there is none."""
        return max(segment.indexes.txn_index.last_marker for segment in self._all)


def _size_at(segment: Segment, position: int) -> int:
    return read_header(segment.read(position, HEADER_BYTES)).size
