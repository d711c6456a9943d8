"""The time of the first record at or after an offset, for as few reads as can be.

The offset index says about where its batch is, so that one read of a header or two finds it. A
whole batch that begins at or behind the offset tells the time of its first record in its header;
one that begins before it, or that compaction has taken records from, has to be read and decoded,
unless all of it has one time. What may not be read any more is told from the time index, as a
range.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader
from fastbroker.errors import CorruptMessage
from fastbroker.storage.batch_file import BatchFile
from fastbroker.storage.damage import checked_batches
from fastbroker.storage.disk import Disk
from fastbroker.storage.segment import Segment
from fastbroker.storage.segment_files import LOG, file_name, offsets_of
from fastbroker.storage.segments import Segments

# How many segments one search looks into: two, or more while there are only so many bytes in them.
# Compaction leaves some that hold nothing but one empty batch.
SEGMENTS_MAX, SMALL_BYTES = 64, 16_384
HEADERS_MAX = 256  # that one search looks at: markers may stand between records
# A larger batch is not decoded, which would hold up other threads: its header says between which
# times its records were made, if they are in their order.
DECODED_MAX = 128 << 10


class TimeRange(NamedTuple):
    """A record's timestamp in ms lies from `first` to `last`; they are the same when it is known.

    -1: the record has none. NOTHING: there is no record.
    """

    first: int
    last: int


NOTHING = TimeRange(-2, -2)


class Budget:
    """What may still be read: headers, and bytes of batches to be decoded."""

    __slots__ = ("bytes", "headers")

    def __init__(self, *, headers: int, bytes: int) -> None:
        self.headers, self.bytes = headers, bytes


class TimeSearch:
    """For the first record in [offset, end). Where to look is decided when it is made, by the
    owner of the log; `run` reads, on any thread.

    Files that are dropped or replaced meanwhile are read all the same: they stay open.
    Raises OSError.
    """

    __slots__ = ("_is_all", "_places", "end", "offset")

    def __init__(self, segments: Segments, offset: int, end: int) -> None:
        self.offset, self.end = offset, end
        self._places: list[tuple[BatchFile, int]] = []
        self._is_all, size = False, 0
        for segment in segments.from_offset(offset):
            if segment.base_offset >= end:
                break
            if len(self._places) == SEGMENTS_MAX or (size > SMALL_BYTES and len(self._places) > 1):
                return
            if segment.size:
                position = 0 if self._places else _position(segments, segment, offset)
                self._places.append((segment.view(), position))
                size += segment.size - position
        self._is_all = True

    def run(self, budget: Budget) -> TimeRange | None:
        """The time, or NOTHING; None: the budget does not suffice for it, or what is there is
        damaged. Raises OSError."""
        left = min(HEADERS_MAX, budget.headers)
        for file, begin in self._places:
            seen = begin
            for position, header in file.headers(begin):
                if left == 0:
                    return None
                left -= 1
                budget.headers -= 1
                seen = position + header.size
                if header.last_offset < self.offset or header.is_control or not header.count:
                    continue
                if header.base_offset >= self.end:
                    return NOTHING
                known = _told_by(header, self.offset)
                if known is None:
                    if header.size > DECODED_MAX and not header.has_delete_horizon:
                        times = header.base_timestamp, header.max_timestamp
                        return TimeRange(min(times), max(times))
                    if header.size > budget.bytes:
                        return None
                    budget.bytes -= header.size
                    try:
                        known = _time_in(file, position, header, self.offset, self.end)
                    except CorruptMessage:
                        return None
                if known is not None:
                    return known
            if seen < file.size:
                return None  # what stands there is no batch
        return NOTHING if self._is_all else None


class ClosedTimeSearch:
    """A TimeSearch in the files of a log that was closed cleanly. All of it is done in `run`, where
    nobody writes to them; they may be opened or go meanwhile.
    """

    __slots__ = ("_directory", "_disk", "end", "offset")

    def __init__(self, disk: Disk, directory: str, offset: int, end: int) -> None:
        self._disk, self._directory = disk, directory
        self.offset, self.end = offset, end

    def run(self, budget: Budget) -> TimeRange | None:
        """See TimeSearch.run."""
        try:
            return TimeSearch(self._segments(), self.offset, self.end).run(budget)
        except FileNotFoundError:
            return None

    def _segments(self) -> Segments:
        disk, directory = self._disk, self._directory
        bases = sorted(offsets_of(disk.list(directory), LOG))
        first = max(bisect_right(bases, self.offset) - 1, 0)
        found = []
        for base in bases[first : first + SEGMENTS_MAX + 1]:
            size = disk.size(f"{directory}/{file_name(base, LOG)}")
            segment = Segment(disk, directory, base, size=size)
            segment.indexes.is_checked = True  # it would be mended; a wrong one leads to no batch
            found.append(segment)
        return Segments(found)


def estimate(segments: Segments, offset: int) -> TimeRange:
    """Between which times the record at `offset` was made, by the time index alone, if times
    ascend with offsets there. Raises OSError."""
    segment = segments.last
    if offset < segment.base_offset or not segment.size:
        there = [one for one in segments.from_offset(offset) if one.size]
        if not there:
            return NOTHING
        segment = there[0]
    was_idle = segment.is_idle
    indexes = segment.indexes if segment.indexes.is_checked else segment.checked
    index = indexes.time_index
    first, last = indexes.first_timestamp, indexes.max_timestamp
    count = len(index.file)
    if count:
        number = bisect_left(range(count), offset, key=lambda n: index.entry(n)[1])
        if number:
            first = index.entry(number - 1)[0]
        if number < count:
            last = index.entry(number)[0]
    _let_go(segments, segment, was_idle=was_idle)
    return TimeRange(min(first, last), last)


def _position(segments: Segments, segment: Segment, offset: int) -> int:
    """Where to begin to look for `offset`."""
    was_idle = segment.is_idle
    position = segment.checked.offset_index.lookup(max(offset, segment.base_offset))
    _let_go(segments, segment, was_idle=was_idle)
    return position


def _let_go(segments: Segments, segment: Segment, *, was_idle: bool) -> None:
    """Whoever looks at thousands of logs keeps no file of them open: there are only so many."""
    if was_idle and segment is not segments.last:
        segment.let_go()


def _told_by(header: BatchHeader, offset: int) -> TimeRange | None:
    """The time of the first record at or after `offset`, if the batch's header tells it."""
    is_whole = header.count == header.last_offset_delta + 1
    if header.is_append_time and (is_whole or header.base_offset >= offset):
        return TimeRange(header.max_timestamp, header.max_timestamp)
    if header.base_offset >= offset and is_whole and not header.has_delete_horizon:
        return TimeRange(header.base_timestamp, header.base_timestamp)
    return None


def _time_in(
    file: BatchFile, position: int, header: BatchHeader, offset: int, end: int
) -> TimeRange | None:
    """By the records of a batch; None: those from `offset` on are gone. Raises CorruptMessage."""
    for batch in checked_batches(file.read(position, header.size), file.path, position):
        for record in batch.records():
            if record.offset >= offset:
                is_there = record.offset < end
                return TimeRange(record.timestamp, record.timestamp) if is_there else NOTHING
    return None
