"""What of a log is on the medium, and what is not yet: the bookkeeping of its flushes.

Invariant: recovery_point <= flushed_offset <= the log's end.
"""
from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from fastbroker.storage.disk import Disk
from fastbroker.storage.flush_job import DirtyRange, FlushJob
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.segment import Segment


class Mark(NamedTuple):
    """How far a log was flushed at some time."""

    offset: int
    cuts: int


class _Written:
    """Bytes of one segment, written since the last flush."""

    __slots__ = ("end", "position", "segment")

    def __init__(self, segment: Segment, position: int) -> None:
        self.segment, self.position, self.end = segment, position, position


class Unflushed:
    """Owned by a Log. One job is out at a time.

    flushed_offset: everything below is on the medium, in its segment or in the commit journal.
    recovery_point: everything below is on the medium in its own segment.
    since_ms: when the oldest batch that waits for a flush was written.
    Bounded by the segments written between two checkpoints of the journal.
    """

    def __init__(self, disk: Disk, directory: str, epochs: LeaderEpochs) -> None:
        self.disk, self.directory, self.epochs = disk, directory, epochs
        self.flushed_offset = 0
        self.recovery_point = 0
        self.since_ms = 0
        self._written: list[_Written] = []
        self._unsynced: list[Segment] = []  # flushed, but perhaps into the journal alone
        self._paths: set[str] = set()
        self._directories: set[str] = set()
        self._cuts = 0
        self._was_cut = False  # since the last job began

    @property
    def has_written(self) -> bool:
        """Whether there are bytes that no flush has been asked for."""
        return bool(self._written)

    def opened(self, end: int) -> None:
        """The log was opened: it ends at `end`, and all of it has been synced."""
        self.flushed_offset = self.recovery_point = end

    def wrote(self, segment: Segment, position: int, size: int, now_ms: int) -> None:
        """`size` bytes were written at `position`, the end of `segment`, the last of the log."""
        written = self._written
        if not written:
            self.since_ms = now_ms
        if not written or written[-1].segment is not segment:
            written.append(_Written(segment, position))
        written[-1].end = position + size

    def made(self, directory: str) -> None:
        """Names in `directory` are new."""
        self._directories.add(directory)

    def wrote_file(self, path: str) -> None:
        """A small file of the log was made or replaced."""
        self._paths.add(path)
        self._directories.add(self.directory)

    def holds(self, segment: Segment) -> bool:
        """Whether its file must stay open: a failed sync is told to the fd that was written."""
        return segment in self._unsynced or any(one.segment is segment for one in self._written)

    def dropped(self, segments: Collection[Segment]) -> None:
        """They are no longer the log's."""
        self._written = [one for one in self._written if one.segment not in segments]
        self._unsynced = [one for one in self._unsynced if one not in segments]

    def cut(self, last: Segment, end: int) -> None:
        """The log was cut: it ends with offset `end` in `last`, and what a job that is out says of
        the log's bytes is of no worth.

        The next flush goes to the segments themselves: bytes behind the cut may be on the medium,
        and only a sync of the file takes them away for good.
        """
        self._written = [one for one in self._written if one.segment is not last]
        self._written.append(_Written(last, last.size))
        self.flushed_offset = min(self.flushed_offset, end)
        self.recovery_point = min(self.recovery_point, end)
        self._cuts += 1
        self._was_cut = True

    def begin(self, offset: int, *, may_be_journaled: bool) -> FlushJob | None:
        """What is to be synced now that the log ends at `offset`; None: nothing. `end` follows.

        may_be_journaled: the log's directory has a topic id by which the journal knows it again.
        Raises OSError: nothing has changed then.
        """
        if not (self._written or self._directories or self._paths or self.epochs.is_dirty):
            return None
        if self.epochs.is_dirty:
            self.epochs.write()
            self.wrote_file(self.epochs.path)
        ranges = []
        for number, one in enumerate(self._written):
            following = self._written[number + 1 : number + 2]
            end = following[0].segment.base_offset if following else offset
            segment = one.segment
            ranges.append(
                DirtyRange(
                    segment.file, segment.base_offset, one.position, one.end - one.position, end
                )
            )
        dirty = [one.segment for one in self._written]
        older = [segment.file for segment in self._unsynced if segment not in dirty]
        job = FlushJob(
            self.disk,
            ranges,
            older + [one.file for one in ranges],
            sorted(self._paths),
            sorted(self._directories, reverse=True),  # a parent after what is in it
            offset,
            may_be_journaled and not self._was_cut,
            self._cuts,
        )
        self._unsynced += [one for one in dirty if one not in self._unsynced]
        self._written, self._paths, self._directories = [], set(), set()
        self._was_cut = False
        return job

    def is_stale(self, job: FlushJob) -> bool:
        """Whether the log was cut since `job` began."""
        return job.cuts != self._cuts

    def end(self, job: FlushJob, *, is_journaled: bool = False) -> None:
        """`job` has run without an error; is_journaled: its ranges are in the journal."""
        if self.is_stale(job):
            return
        self.flushed_offset = max(self.flushed_offset, job.offset)
        if not is_journaled:
            self.recovery_point = self.flushed_offset
            self._unsynced.clear()

    def mark(self) -> Mark:
        """What a sync of all files that begins now will have synced, for `synced`."""
        return Mark(self.flushed_offset, self._cuts)

    def synced(self, mark: Mark) -> None:
        """All files were synced after `mark` was taken."""
        if mark.cuts != self._cuts:
            return
        self.recovery_point = max(self.recovery_point, mark.offset)
        # The last may have been written again, or be in the job that is out.
        while len(self._unsynced) > 1 and self._unsynced[1].base_offset <= mark.offset:
            del self._unsynced[0]
