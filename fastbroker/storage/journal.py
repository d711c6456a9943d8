"""The commit journal: many small ranges of many segments made durable by one sync.

    commit-journal.0, commit-journal.1 := frame* rest       the two halves
    frame  := 'FBCJ' crc version reserved count size sequence run entry{count} bytes{count} zeros
    entry  := topic_id{16} base_offset position end_offset length name_length name

    crc         uint32  CRC-32C of the frame's `size` bytes from behind the crc on
    version     uint16  1; magic, crc, version and size stay where they are in every version
    reserved    uint16  0
    count       uint32  of entries
    size        uint64  of the frame without the zeros, which fill it up to a multiple of 4096
    sequence    uint64  of frames, without a gap within a half
    run         16      random, made when the journal is; the same in every frame of a half
    base_offset int64   of the segment; its file's name
    position    int64   in the segment
    end_offset  int64   all offsets in the bytes are below it
    length      uint32  of the bytes, whole batches as they are in the segment
    name        uint16 and UTF-8: the partition's directory

Frames are written one behind the other, from the beginning of a half when it is begun again: behind
the last one lies what was there before. A frame counts only if its run is that of the half's first,
its sequence is the one before it plus one, and its CRC is right. The run is a secret: nobody can
put into a record what would be taken for a frame where older bytes lie behind the last one.

A half is free again when the segments that its frames speak of have been synced.
"""
from __future__ import annotations

import logging
import os.path
import struct
from typing import NamedTuple

from fastbroker._c.journal import Frames
from fastbroker.storage.disk import Disk
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.unflushed import Unflushed

log = logging.getLogger(__name__)

FILES = ("commit-journal.0", "commit-journal.1")
MAGIC = b"FBCJ"
HEAD = struct.Struct(">4sIHHIQQ16s")
ENTRY = struct.Struct(">16sqqqIH")
CRC_END = 8
RUN_BYTES = 16
HALF_BYTES = 32 << 20
FRAME_BYTES = 4 << 20  # at most; the thread that writes them has a buffer of that size
RANGE_BYTES = 64 << 10  # a larger one costs less when its file is synced

# Its position in the journal, its head, and what is copied behind that: (fd, position, size).
Frame = tuple[int, bytes, list[tuple[int, int, int]]]


class JournalWrite(NamedTuple):
    """What makes the ranges of one round durable: `frames` written to `fd`, and one sync.

    logs: whose ranges they are.
    """

    fd: int
    frames: list[Frame]
    logs: list[Unflushed]
    end: int  # where the next frame goes
    next_sequence: int


class Half:
    """One file of the journal. logs: whose bytes are in it."""

    __slots__ = ("end", "fd", "is_free", "logs", "path")

    def __init__(self, path: str) -> None:
        self.path, self.fd = path, -1
        self.end = 0
        self.is_free = True
        self.logs: dict[Unflushed, None] = {}


class Journal:
    """Owned by one worker's loop. Empty, or not there, when this is made: see journal_replay.py.

    Bounded: two files of at most `half_bytes`, which grow when they are first written.
    """

    def __init__(self, disk: Disk, directory: str, *, half_bytes: int = HALF_BYTES) -> None:
        self.disk, self.directory, self.half_bytes = disk, directory, half_bytes
        self._halves = [Half(os.path.join(directory, name)) for name in FILES]
        self._half = self._halves[0]
        self._sequence = 1
        self._run = os.urandom(RUN_BYTES)
        self._is_broken = False

    def prepare(self, jobs: list[FlushJob]) -> JournalWrite | None:
        """The frames for the ranges of `jobs`; `written` follows when they are on the medium,
        before the next. None: there is no room until a half is free."""
        made = Frames(jobs, run=self._run, sequence=self._sequence, frame_bytes=FRAME_BYTES)
        half = self._room_for(made.size)
        if half is None:
            return None
        logs = [job.log for job in jobs]
        end = half.end + made.size
        return JournalWrite(half.fd, made.place(half.end), logs, end, made.next_sequence)

    def written(self, write: JournalWrite) -> None:
        """The frames of `write` are on the medium."""
        self._half.end = write.end
        self._half.logs.update(dict.fromkeys(write.logs))
        self._sequence = write.next_sequence

    def gave_up(self, write: JournalWrite) -> None:
        """`write` has failed before anything was synced: nothing is written behind what is left of
        it, the half is full."""
        self._sequence = write.next_sequence
        self._half.end = self.half_bytes

    def full(self) -> Half | None:
        """The half that waits to be free again."""
        (other,) = [one for one in self._halves if one is not self._half]
        return None if other.is_free else other

    def freed(self, half: Half) -> None:
        """What is in `half` is on the medium in its segments."""
        half.is_free = True
        half.logs.clear()

    def close(self) -> None:
        """Empty it: all logs are closed. Raises OSError."""
        for half in self._halves:
            if half.fd >= 0:
                self.disk.truncate(half.fd, 0)
                self.disk.sync(half.fd)  # its frames would come back beside those of the next run
                self.disk.close(half.fd)
                half.fd = -1

    def _room_for(self, size: int) -> Half | None:
        """The half to write to; it is another than before when that one is full."""
        half = self._half
        if half.end + size > self.half_bytes:
            half = next(one for one in self._halves if one is not half)
            if not half.is_free or size > self.half_bytes:
                return None
            self._half, half.end = half, 0
        if half.fd < 0 and not self._open(half):
            return None
        half.is_free = False
        return half

    def _open(self, half: Half) -> bool:
        """Open its file; once in a directory's life it is made, and its name synced."""
        if self._is_broken:
            return False
        try:
            is_new = not self.disk.exists(half.path)
            half.fd = self.disk.open(half.path, create=True)
            if is_new:
                self.disk.sync_directory(self.directory)
        except OSError as error:
            log.error("%s is not used, every segment is synced itself: %s", half.path, error)
            self._is_broken = True
        return not self._is_broken
