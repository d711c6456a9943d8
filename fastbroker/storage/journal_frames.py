"""The frames of one half of the commit journal that count; journal.py has their grammar."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastbroker._c.checksum import crc32c
from fastbroker._c.journal import VERSION
from fastbroker._c.sync_thread import FRAME_ALIGN
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import CRC_END, ENTRY, FRAME_BYTES, HEAD, MAGIC

SEARCH_BYTES = 1 << 20  # read at once in search of frames behind a damaged one


class NewerJournal(Exception):
    """A later version wrote the journal; the message says what to do."""


class Entry(NamedTuple):
    """Bytes of a segment; see the grammar."""

    topic_id: bytes
    base_offset: int
    position: int
    end_offset: int
    directory: str
    data: memoryview


class JournalFrame(NamedTuple):
    """One flush round's share of the journal."""

    sequence: int
    run: bytes
    entries: list[Entry]
    size: int


def read_frames(disk: Disk, path: str) -> Iterator[JournalFrame]:
    """The frames in the file at `path`, which is there, up to the first that does not count.

    One is in memory at a time. Raises NewerJournal, before the first.
    """
    fd = disk.open(path, write=False)
    try:
        end = disk.size(path)
        at, last = 0, None
        while True:
            frame = _read(disk, fd, at, end)
            if frame is None or (last is not None and not _follows(frame, last)):
                return
            yield frame
            at += _padded(frame.size)
            last = frame._replace(entries=[])
    finally:
        disk.close(fd)


def lost_frames(disk: Disk, path: str, last: JournalFrame, at: int) -> int:
    """How many frames behind position `at` are of the same run and later than `last`, the last that
    counts: not a write that was under way, but damage, has ended the half there."""
    fd = disk.open(path, write=False)
    try:
        end, lost = disk.size(path), 0
        while at < end:
            chunk = disk.pread(fd, SEARCH_BYTES, at)
            for place in range(0, len(chunk), FRAME_ALIGN):
                if not chunk.startswith(MAGIC, place):
                    continue
                frame = _read(disk, fd, at + place, end)
                if frame is not None and frame.run == last.run and frame.sequence > last.sequence:
                    lost += 1
            at += SEARCH_BYTES
        return lost
    finally:
        disk.close(fd)


def _follows(frame: JournalFrame, last: JournalFrame) -> bool:
    return frame.run == last.run and frame.sequence == last.sequence + 1


def _read(disk: Disk, fd: int, at: int, end: int) -> JournalFrame | None:
    """The frame at a position; None: none that is whole is there."""
    head = disk.pread(fd, HEAD.size, at)
    if len(head) < HEAD.size:
        return None
    magic, crc, version, _, count, size, sequence, run = HEAD.unpack(head)
    if magic != MAGIC or not HEAD.size <= size <= min(FRAME_BYTES, end - at):
        return None
    data = memoryview(disk.pread(fd, size, at))
    if len(data) < size or crc32c(data[CRC_END:]) != crc:
        return None
    if version > VERSION:
        raise NewerJournal(f"is of version {version}, this is a broker for version {VERSION}")
    entries = _entries(data, count)
    return None if entries is None else JournalFrame(sequence, run, entries, size)


def _entries(data: memoryview, count: int) -> list[Entry] | None:
    """What is in a frame; None: its table does not fit its bytes."""
    rows, at = [], HEAD.size
    if count > len(data) // ENTRY.size:
        return None
    for _ in range(count):
        if len(data) - at < ENTRY.size:
            return None
        *row, name_size = ENTRY.unpack_from(data, at)
        at += ENTRY.size + name_size
        rows.append((*row, bytes(data[at - name_size : at]).decode("utf-8", "replace")))
    if at + sum(row[4] for row in rows) != len(data):
        return None
    entries = []
    for topic_id, base_offset, position, end_offset, size, name in rows:
        entries.append(
            Entry(topic_id, base_offset, position, end_offset, name, data[at : at + size])
        )
        at += size
    return entries


def _padded(size: int) -> int:
    return -(-size // FRAME_ALIGN) * FRAME_ALIGN
