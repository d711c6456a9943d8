"""The two halves of a broker's commit journal, read without believing any frame.

    commit-journal.0, commit-journal.1 := frame* rest
    frame  := 'FBCJ' crc:uint32 version:uint16=1 reserved:uint16 count:uint32 size:uint64
              sequence:uint64 run{16} entry{count} bytes{count} zeros
    entry  := topic_id{16} base_offset:int64 position:int64 end_offset:int64 length:uint32
              name_length:uint16 name

The CRC-32C covers the frame's `size` bytes from behind it on; frames begin at multiples of 4096.
One counts if its sequence follows that of the one before it in the file and its run is the same:
behind the last that counts lies what was there before. Sequences go on from one half to the other.
"""
from __future__ import annotations

import os.path
from collections.abc import Iterator
from itertools import pairwise
from struct import Struct as Layout
from typing import NamedTuple

from fastbroker._c.checksum import crc32c
from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.finding import Faults, Severity
from fastbroker.uuids import uuid_text

FILES = ("commit-journal.0", "commit-journal.1")
MAGIC, VERSION = b"FBCJ", 1
ALIGN = 4096
FRAME_MAX = 64 << 20  # no frame is so large
HEAD = Layout(">4sIHHIQQ16s")
ENTRY = Layout(">16sqqqIH")
CRC_END = 8


class Entry(NamedTuple):
    """Bytes of a segment: `size` at `position` of the one with that base offset."""

    topic_id: str
    directory: str
    base_offset: int
    position: int
    size: int
    end_offset: int


class Frame(NamedTuple):
    """A whole frame. counts: it would be replayed."""

    at: int
    size: int
    sequence: int
    run: bytes
    entries: list[Entry]
    version: int
    counts: bool


def frames(disk: Disk, path: str) -> Iterator[Frame]:
    """Every whole frame of a half, whether it counts or not. Raises OSError."""
    fd = disk.open(path, write=False)
    try:
        end, at = disk.size(path), 0
        last: Frame | None = None
        has_ended = False
        while at < end:
            frame = _frame(disk, fd, at, end)
            if frame is None:
                has_ended = True
                at += ALIGN
                continue
            if last is None:
                has_ended = has_ended or at > 0
            elif frame.run != last.run or frame.sequence != last.sequence + 1:
                has_ended = True
            last = frame._replace(counts=not has_ended)
            yield last
            last = last._replace(entries=[])
            at += -(-frame.size // ALIGN) * ALIGN
    finally:
        disk.close(fd)


def _frame(disk: Disk, fd: int, at: int, end: int) -> Frame | None:
    head = disk.pread(fd, HEAD.size, at)
    if len(head) < HEAD.size or not head.startswith(MAGIC):
        return None
    _, crc, version, _, count, size, sequence, run = HEAD.unpack(head)
    if not HEAD.size <= size <= min(FRAME_MAX, end - at):
        return None
    data = disk.pread(fd, size, at)
    if len(data) < size or crc32c(memoryview(data)[CRC_END:]) != crc:
        return None
    entries = _entries(data, count) if version == VERSION else []
    return Frame(at, size, sequence, run, entries or [], version, True)


def _entries(data: bytes, count: int) -> list[Entry] | None:
    """The table of a frame; None: it does not fit its bytes."""
    out, at, total = [], HEAD.size, 0
    for _ in range(count):
        if len(data) - at < ENTRY.size:
            return None
        topic_id, base, position, end, size, name_size = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        name = data[at : at + name_size].decode("utf-8", "replace")
        at += name_size
        total += size
        out.append(Entry(uuid_text(topic_id), name, base, position, size, end))
    return out if at + total == len(data) else None


def check_journal(disk: Disk, directory: str, *, is_clean: bool, faults: Faults) -> None:
    """Both halves of the journal in a log directory. Raises OSError."""
    counted: list[int] = []
    others: list[tuple[str, Frame]] = []
    for name in FILES:
        path = os.path.join(directory, name)
        if not disk.exists(path):
            continue
        if is_clean and disk.size(path):
            what = "it is not empty, although the broker was stopped"
            remedy = "replays it: nothing new is in it"
            faults.add(path, what, if_left=Severity.NOTE, remedy=remedy)
        for frame in frames(disk, path):
            if frame.version != VERSION:
                what = f"a frame of version {frame.version}, {VERSION} is understood"
                place = f"position {frame.at}"
                faults.add(path, what, place=place, remedy="does not start")
                return
            if frame.counts:
                counted.append(frame.sequence)
            else:
                others.append((path, frame._replace(entries=[])))
    counted.sort()
    newest = counted[-1] if counted else -1
    remedy = "passes over them: what was acknowledged with them and is not in its segment is lost"
    for path, frame in others:
        if frame.sequence > newest:
            what = f"frame {frame.sequence} lies behind damaged ones"
            faults.add(path, what, place=f"position {frame.at}", remedy=remedy)
    for before, after in pairwise(counted):
        if after > before + 1:
            what = f"frames {before + 1}..{after - 1} are damaged or missing"
            faults.add(os.path.join(directory, FILES[0]), what, remedy=remedy)
