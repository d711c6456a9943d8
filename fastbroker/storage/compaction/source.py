"""Batches of old segments, read in chunks, while their log goes on being used."""
from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from fastbroker._c.cleaner import DamagedBatch
from fastbroker._c.record_batch import HEADER_BYTES, CorruptBatch, read_header
from fastbroker.errors import CorruptMessage
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.segment import Segment
from fastbroker.storage.segment_files import INDEX, TIME_INDEX, file_name
from fastbroker.storage.txn_index import AbortedTransaction

# Called with a number of bytes that were read or written: waits for as long as they are worth.
Pace = Callable[[int], None]
# Takes the bytes of batches and where they begin in the file; returns how many bytes of whole
# batches it has used, or ENOUGH.
Use = Callable[[bytes, int], int]
ENOUGH = -1


class Source(NamedTuple):
    """A closed segment, as it was when the cleaning began: offsets [base_offset, end)."""

    directory: str
    base_offset: int
    end: int
    path: str
    size: int
    has_txn_index: bool
    index_bytes: int = 0
    time_index_bytes: int = 0

    def measured(self, disk: Disk) -> Source:
        """The same, with the sizes of its indexes."""
        sizes = []
        for suffix in (INDEX, TIME_INDEX):
            path = os.path.join(self.directory, file_name(self.base_offset, suffix))
            sizes.append(disk.size(path) if disk.exists(path) else 0)
        return self._replace(index_bytes=sizes[0], time_index_bytes=sizes[1])


def source_of(segment: Segment, end: int) -> Source:
    """What a cleaning needs to know of a segment that ends before `end`."""
    return Source(
        directory=segment.directory,
        base_offset=segment.base_offset,
        end=end,
        path=segment.path,
        size=segment.size,
        has_txn_index=segment.indexes.txn_index.last_marker >= 0,
    )


def walk(source: Source, use: Use, *, disk: Disk, chunk_bytes: int, pace: Pace) -> bool:
    """Give all batches of `source` to `use`; False: it has said ENOUGH.

    chunk_bytes: read at once, unless a batch is larger. Raises Damaged, FileNotFoundError; Damaged
    for a file that cannot be read, too.
    """
    try:
        fd = disk.open(source.path, write=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"{source.path} cannot be opened: {error}") from error
    try:
        return _walk(source, fd, use, disk, chunk_bytes, pace)
    finally:
        disk.close(fd)


def _walk(
    source: Source, fd: int, use: Use, disk: Disk, chunk_bytes: int, pace: Pace
) -> bool:
    position, need = 0, HEADER_BYTES
    while position < source.size:
        want = min(max(chunk_bytes, need), source.size - position)
        try:
            data = disk.pread(fd, want, position)
        except OSError as error:
            raise Damaged(f"{source.path} at {position} cannot be read: {error}") from error
        pace(len(data))
        try:
            used = use(data, position)
        except DamagedBatch as error:
            raise Damaged(f"{source.path}, the batch at {position + error.at}: {error}") from None
        if used == ENOUGH:
            return False
        position += used
        if used:
            need = HEADER_BYTES
        else:
            need = _size_of_first(source, data, position)
    return True


def _size_of_first(source: Source, data: bytes, position: int) -> int:
    """Bytes of a batch that `data` is too short for."""
    try:
        size = read_header(data).size
    except CorruptBatch as error:
        raise Damaged(f"{source.path}, the batch at {position}: {error}") from None
    if size > source.size - position or size <= len(data):
        raise Damaged(f"{source.path}, the batch at {position} ends behind the file")
    return size


def damaged_at(at: int, error: CorruptBatch | CorruptMessage) -> DamagedBatch:
    """The same, of the batch at `at` of a chunk."""
    text = error.message if isinstance(error, CorruptMessage) else str(error)
    return DamagedBatch(text or "it cannot be read", at)


class AbortedIn:
    """The aborted transactions of the segments of a cleaning.

    straddling: those with a marker behind the last of `sources`.
    """

    def __init__(
        self, sources: list[Source], straddling: Iterable[AbortedTransaction], disk: Disk
    ) -> None:
        self.sources, self.straddling, self.disk = sources, list(straddling), disk

    def overlapping(self, start: int, end: int) -> Iterator[AbortedTransaction]:
        """Those with an offset in [start, end). Raises Damaged, FileNotFoundError."""
        for source in self.sources:
            if source.end <= start or not source.has_txn_index:
                continue
            index = _own(source, self.disk).indexes.txn_index
            try:
                if not index.load():
                    raise Damaged(f"the transaction index beside {source.path} is damaged")
                found, is_all = index.overlapping(start, end)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise Damaged(f"the index beside {source.path}: {error}") from error
            yield from found
            if is_all:
                return
        for aborted in self.straddling:
            if aborted.first_offset < end:
                yield aborted


def last_offset_of(sources: list[Source], disk: Disk) -> int:
    """The last offset of the last batch in `sources`; -1: there is none."""
    for source in reversed(sources):
        if source.size:
            return _own(source, disk).next_offset() - 1
    return -1


def _own(source: Source, disk: Disk) -> Segment:
    """The segment for this thread alone: what the log's has open, it may close."""
    return Segment(
        disk, source.directory, source.base_offset, size=source.size,
        has_txn_index=source.has_txn_index,
    )  # fmt: skip

