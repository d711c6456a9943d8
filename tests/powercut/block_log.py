"""Everything that a disk was told, in order; and what may be on it after a power cut.

    log   := entry*
    entry := kind:u8 ('W' or 'F') offset:u64 length:u32 data

Its position is the number of entries. A process that reads the position after it has seen an
answer knows that everything which the answer rests on stands before it.
"""
from __future__ import annotations

import ctypes
import mmap
import os
import pathlib
import random
from collections.abc import Iterator
from struct import Struct as Layout
from typing import NamedTuple

BLOCK, SECTOR = 4096, 512
WRITE, FLUSH = ord("W"), ord("F")
_ENTRY = Layout("<BQI")


class Entry(NamedTuple):
    """offset, length: where on the disk. at: where the data stands in the log's file."""

    kind: int
    offset: int
    length: int
    at: int


class Position:
    """The number of entries in the log so far, which another process counts.

    It is one machine word, read and written whole.
    """

    def __init__(self, path: pathlib.Path) -> None:
        with open(path, "r+b") as file:
            shared = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._count = ctypes.c_uint64.from_buffer(shared)

    @staticmethod
    def create(path: pathlib.Path) -> Position:
        path.write_bytes(bytes(mmap.PAGESIZE))
        return Position(path)

    def now(self) -> int:
        return self._count.value

    def advance(self, to: int) -> None:
        self._count.value = to


class Recorder:
    """A disk that writes a log of what it is told. Its content is that of `image`, changed.

    lies: the share of flushes that it answers and forgets.
    """

    def __init__(
        self, image: pathlib.Path, log: pathlib.Path, position: Position, *, lies: float = 0
    ) -> None:
        self.size = image.stat().st_size
        self._content = _mapped(image)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._position, self._count = position, 0
        self._lies, self._dice = lies, random.Random(1)

    def appear(self, disk: int) -> None:
        pass

    def read(self, disk: int, offset: int, size: int) -> bytes:
        return self._content[offset : offset + size]

    def write(self, disk: int, offset: int, data: memoryview) -> None:
        self._content[offset : offset + len(data)] = data
        self._note(WRITE, offset, data)

    def flush(self, disk: int) -> None:
        if self._dice.random() >= self._lies:
            self._note(FLUSH, 0, memoryview(b""))

    def _note(self, kind: int, offset: int, data: memoryview) -> None:
        """The entry first, then the position: an answer that was seen is behind what it needs."""
        os.writev(self._log, [_ENTRY.pack(kind, offset, len(data)), data])
        self._count += 1
        self._position.advance(self._count)


class Images:
    """Disks that have lost power: disk N when cuts[N] entries had been made. It holds everything
    before the last flush that had ended by then, and of later writes a part, some of them torn.

    image: the disk before the first entry; it is changed as the disks, in their order, are asked
    for. cuts ascend. What is written to a disk is forgotten with the next.
    """

    def __init__(
        self, image: pathlib.Path, log: pathlib.Path, *, cuts: list[int], seed: int
    ) -> None:
        self.size = image.stat().st_size
        self._safe = _mapped(image)
        self._log = _mapped(log, write=False)
        self._entries = list(_entries(self._log))
        self._applied = 0  # how many are in `_safe`
        self._cuts, self._seed = cuts, seed
        self._number = -1
        self._changed: dict[int, bytearray] = {}  # block -> content, where this disk differs

    def appear(self, disk: int) -> None:
        if disk > self._number:
            self._number = disk
            self._cut(self._cuts[disk], random.Random(f"{self._seed}.{disk}"))

    def _cut(self, position: int, dice: random.Random) -> None:
        last = position
        while last > self._applied and self._entries[last - 1].kind != FLUSH:
            last -= 1
        for entry in self._entries[self._applied : last]:
            if entry.kind == WRITE:
                self._safe[entry.offset : entry.offset + entry.length] = self._data(entry)
        self._applied = max(last, self._applied)
        self._changed = {}
        kept = dice.choice((0.0, 0.5, 0.5, 0.9, 1.0))
        for entry in self._entries[self._applied : position]:
            if entry.kind != WRITE or dice.random() >= kept:
                continue
            sectors = entry.length // SECTOR
            if dice.random() < 0.2:
                for sector in range(sectors):
                    if dice.random() < 0.5:
                        self._put(entry, sector * SECTOR, SECTOR)
            else:
                self._put(entry, 0, entry.length)

    def _data(self, entry: Entry) -> bytes:
        return self._log[entry.at : entry.at + entry.length]

    def _put(self, entry: Entry, start: int, length: int) -> None:
        begin = entry.at + start
        data = memoryview(self._log)[begin : begin + length]
        self.write(self._number, entry.offset + start, data)

    def read(self, disk: int, offset: int, size: int) -> bytes:
        first, last = offset // BLOCK, (offset + size - 1) // BLOCK
        changed = self._changed
        if not any(block in changed for block in range(first, last + 1)):
            return self._safe[offset : offset + size]
        data = bytearray(self._safe[first * BLOCK : (last + 1) * BLOCK])
        for block in range(first, last + 1):
            if block in changed:
                at = (block - first) * BLOCK
                data[at : at + BLOCK] = changed[block]
        begin = offset - first * BLOCK
        return bytes(data[begin : begin + size])

    def write(self, disk: int, offset: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            block, begin = divmod(offset + done, BLOCK)
            count = min(BLOCK - begin, len(data) - done)
            content = self._changed.get(block)
            if content is None:
                content = bytearray(self._safe[block * BLOCK : (block + 1) * BLOCK])
                self._changed[block] = content
            content[begin : begin + count] = data[done : done + count]
            done += count

    def flush(self, disk: int) -> None:
        pass


def flushes(log: pathlib.Path) -> int:
    """How many are in the log."""
    return sum(entry.kind == FLUSH for entry in _entries(_mapped(log, write=False)))


def _mapped(path: pathlib.Path, *, write: bool = True) -> mmap.mmap:
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_READ)


def _entries(log: mmap.mmap) -> Iterator[Entry]:
    at = 0
    while at < len(log):
        kind, offset, length = _ENTRY.unpack_from(log, at)
        at += _ENTRY.size
        yield Entry(kind, offset, length, at)
        at += length

