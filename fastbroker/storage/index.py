"""Index files of a segment: sorted entries of a fixed width, searched by their leading key.

    offset index (.index)      entry := relative_offset:uint32 position:uint32
    time index   (.timeindex)  entry := timestamp:int64 relative_offset:uint32

relative_offset counts from the segment's base offset. An offset entry says that the batch whose
last offset is base + relative_offset begins at `position`. A time entry says that no record at or
before that offset has a timestamp above `timestamp`.

Entries of the segment being written are kept in memory and go to the file at `write`; those of a
closed segment are mapped when first asked for. Nothing here syncs: a file that misses entries only
makes a search start earlier, and what a power cut has left in it is looked through, see `sound`.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from struct import Struct as Layout

from fastbroker._c.record_batch import floor_entry, sound_entries
from fastbroker.storage.disk import Buffer, Disk

_OFFSET = Layout(">II")
_TIME = Layout(">qI")
RELATIVE_MAX = 2**31 - 1  # Kafka takes them for signed


class IndexFile:
    """Entries of `width` bytes at `path`, ascending by a leading key of `key_bytes`."""

    __slots__ = ("_entries", "_is_cut", "_written", "disk", "key_bytes", "path", "width")

    def __init__(self, disk: Disk, path: str, *, width: int, key_bytes: int) -> None:
        self.disk, self.path = disk, path
        self.width, self.key_bytes = width, key_bytes
        self._entries: Buffer | None = None
        self._written = 0  # entries that are in the file
        self._is_cut = False  # the file ends within an entry

    def _load(self) -> Buffer:
        """The entries; mapped from the file when they are not in memory."""
        if self._entries is None:
            try:
                size = self.disk.size(self.path)
                self._is_cut = size % self.width != 0
                size -= size % self.width
            except FileNotFoundError:
                size = 0
            if size:
                fd = self.disk.open(self.path, write=False)
                try:
                    self._entries = self.disk.map(fd, size)
                finally:
                    self.disk.close(fd)
            else:
                self._entries = b""
            self._written = size // self.width
        return self._entries

    def begin(self) -> None:
        """There is no file yet: no entries."""
        self._entries = b""

    def __len__(self) -> int:
        return len(self._load()) // self.width

    @property
    def is_loaded(self) -> bool:
        """Whether the entries are in memory."""
        return self._entries is not None

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        entries = self._entries
        return len(self._load() if entries is None else entries)

    def entries(self) -> Buffer:
        """The bytes of all entries, to be read at once: the next append may move them."""
        return self._load()

    def append(self, entry: bytes) -> None:
        """Add an entry behind the last; in memory until `write`."""
        entries = self._load()
        if not isinstance(entries, bytearray):
            entries = self._entries = bytearray(entries)
        entries += entry

    def floor(self, key: int) -> int:
        """Number of the last entry with a key <= `key`; -1: none."""
        entries = self._load()
        return floor_entry(entries, len(entries) // self.width, self.width, self.key_bytes, key)

    def entry(self, layout: Layout, number: int) -> tuple[int, int]:
        """Both values of an entry."""
        return layout.unpack_from(self._load(), number * self.width)

    @property
    def is_whole(self) -> bool:
        """Whether the file ends with an entry; one that does not has lost its last."""
        self._load()
        return not self._is_cut

    def sound(self) -> int:
        """How many of the entries, from the first on, are in order."""
        entries = self._load()
        return sound_entries(entries, len(entries) // self.width, self.width, self.key_bytes)

    def write(self) -> bool:
        """Bring the file up to the entries in memory, unsynced; whether it had to change."""
        entries = self._load()
        count = len(entries) // self.width
        if count == self._written and self.disk.exists(self.path):
            return False
        fd = self.disk.open(self.path, create=True)
        try:
            at = self._written * self.width
            self.disk.pwrite(fd, memoryview(entries)[at:], at)
        finally:
            self.disk.close(fd)
        self._written = count
        return True

    def cut(self, count: int) -> None:
        """Keep the first `count` entries, in memory and in the file."""
        entries = self._load()
        if count * self.width >= len(entries):
            return
        self._entries = bytearray(entries[: count * self.width])
        if self._written > count:
            fd = self.disk.open(self.path)
            try:
                self.disk.truncate(fd, count * self.width)
                self.disk.sync(fd)  # entries that came back after a power cut would be believed
            finally:
                self.disk.close(fd)
            self._written = count

    def clear(self) -> None:
        """Forget all entries and empty the file: they will be made anew."""
        if len(self._load()):
            fd = self.disk.open(self.path)
            try:
                self.disk.truncate(fd, 0)
                self.disk.sync(fd)
            finally:
                self.disk.close(fd)
        self._entries, self._written = bytearray(), 0

    def forget(self) -> None:
        """Let go of memory; what is not in the file is lost."""
        self._entries = None


class OffsetIndex:
    """From an offset to a position at or before the batch that holds it."""

    __slots__ = ("base_offset", "file")

    def __init__(self, disk: Disk, path: str, base_offset: int) -> None:
        self.base_offset = base_offset
        self.file = IndexFile(disk, path, width=8, key_bytes=4)

    def append(self, offset: int, position: int) -> None:
        """The batch at `position` has the last offset `offset`."""
        self.file.append(_OFFSET.pack(offset - self.base_offset, position))

    def lookup(self, offset: int) -> int:
        """The largest known position of a batch with a last offset <= `offset`; 0: none is."""
        number = self.file.floor(max(offset - self.base_offset, -1))
        return 0 if number < 0 else self.file.entry(_OFFSET, number)[1]

    def bound(self, position: int) -> int | None:
        """The smallest known last offset of a batch that begins at or behind `position`."""
        number = bisect_left(
            range(len(self.file)), position, key=lambda n: self.file.entry(_OFFSET, n)[1]
        )
        if number == len(self.file):
            return None
        return self.base_offset + self.file.entry(_OFFSET, number)[0]

    def position_before(self, position: int) -> int:
        """The largest known position of a batch at or before `position`; 0: none is."""
        number = bisect_right(
            range(len(self.file)), position, key=lambda n: self.file.entry(_OFFSET, n)[1]
        )
        return 0 if number == 0 else self.file.entry(_OFFSET, number - 1)[1]

    def last(self) -> tuple[int, int]:
        """(offset, position) of the last entry; (base offset, 0) without entries."""
        if not len(self.file):
            return self.base_offset, 0
        relative, position = self.file.entry(_OFFSET, len(self.file) - 1)
        return self.base_offset + relative, position

    def write(self) -> bool:
        """See IndexFile.write."""
        return self.file.write()

    def cut(self, offset: int) -> None:
        """Drop the entries of batches that hold `offset` or later."""
        self.file.cut(self.file.floor(offset - self.base_offset - 1) + 1)


class TimeIndex:
    """From a timestamp to an offset before which no record is as late."""

    __slots__ = ("base_offset", "file")

    def __init__(self, disk: Disk, path: str, base_offset: int) -> None:
        self.base_offset = base_offset
        self.file = IndexFile(disk, path, width=12, key_bytes=8)

    def append(self, timestamp: int, offset: int) -> None:
        """Nothing up to `offset` is later than `timestamp`; ignored unless it is the latest."""
        if timestamp > self.last()[0]:
            self.file.append(_TIME.pack(timestamp, offset - self.base_offset))

    def lookup(self, timestamp: int) -> int:
        """An offset such that no record before it has a timestamp >= `timestamp`."""
        number = self.file.floor(timestamp - 1)
        if number < 0:
            return self.base_offset
        return self.base_offset + self.file.entry(_TIME, number)[1]

    def entry(self, number: int) -> tuple[int, int]:
        """(timestamp, offset) of an entry."""
        timestamp, relative = self.file.entry(_TIME, number)
        return timestamp, self.base_offset + relative

    def last(self) -> tuple[int, int]:
        """(timestamp, offset) of the last entry; (-1, base offset) without entries."""
        if not len(self.file):
            return -1, self.base_offset
        return self.entry(len(self.file) - 1)

    def write(self) -> bool:
        """See IndexFile.write."""
        return self.file.write()

    def cut(self, offset: int) -> None:
        """Drop the entries that name `offset` or later."""
        keep = len(self.file)
        while keep and self.base_offset + self.file.entry(_TIME, keep - 1)[1] >= offset:
            keep -= 1
        self.file.cut(keep)
