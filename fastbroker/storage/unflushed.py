"""What of a log is on the medium, and what is not yet: the bookkeeping of its flushes.

Invariant: recovery_point <= flushed_offset <= the log's end.
"""
from __future__ import annotations

import os.path
from collections.abc import Collection
from typing import NamedTuple

from fastbroker._c.unflushed import Dirty, Written
from fastbroker.storage.batch_file import OpenFile
from fastbroker.storage.disk import Disk
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.segment import Segment


class Mark(NamedTuple):
    """How far a log was flushed at some time, and the last of its jobs then."""

    offset: int
    jobs: int


class Unflushed(Dirty):
    """Owned by a Log. Jobs run one after the other; one may begin before the end of the one
    before it, which has run, is told.

    flushed_offset: everything below is on the medium, in its segment or in the commit journal.
    recovery_point: everything below is on the medium in its own segment.
    since_ms: when the oldest batch that waits for a flush was written.
    topic_id: by which the commit journal knows the directory again; None: nothing is journaled.
    Bounded by the segments written between two checkpoints of the journal.

    The base class has what happens in every round of flushes, and the fields:
    _written: bytes of segments, which no flush has been asked for.
    _unsynced: segments that are yet to be synced themselves -> the last job with bytes of them.
    _jobs: how many. _stale: this job and those before it are of a log that was cut since.
    """

    __slots__ = ("directory", "disk")

    def __init__(self, disk: Disk, directory: str) -> None:
        super().__init__(os.path.basename(directory).encode())
        self.disk, self.directory = disk, directory

    @property
    def has_written(self) -> bool:
        """Whether there are bytes that no flush has been asked for."""
        return bool(self._written)

    @property
    def is_synced(self) -> bool:
        """Whether everything, names and small files too, is on the medium where it belongs."""
        return not (self._written or self._unsynced or self._paths or self._directories)

    @property
    def has_journaled(self) -> bool:
        """Whether there are bytes that the journal may be alone to have on the medium."""
        return bool(self._unsynced)

    def opened(self, end: int) -> None:
        """The log was opened: it ends at `end`, and all of it has been synced."""
        self.flushed_offset = self.recovery_point = self.opened_at = end

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
        for segment in segments:
            self._unsynced.pop(segment, None)

    def cut(self, last: Segment, end: int) -> None:
        """The log was cut: it ends with offset `end` in `last`, and what a job that is out says of
        the log's bytes is of no worth.

        The next flush goes to the segments themselves: bytes behind the cut may be on the medium,
        and only a sync of the file takes them away for good.
        """
        self._written = [one for one in self._written if one.segment is not last]
        self._written.append(Written(last, last.size))
        self.flushed_offset = min(self.flushed_offset, end)
        self.recovery_point = min(self.recovery_point, end)
        self._stale = self._jobs

    def begin(self, offset: int, *, is_last: bool = False) -> FlushJob | None:
        """What is to be synced now that the log ends at `offset`; None: nothing. `end` follows.

        is_last: what is in the journal is to be synced, too.
        """
        is_needed = self._written or self._directories or self._paths
        if not is_needed and not (is_last and self._unsynced):
            return None
        job = FlushJob(self)
        self.hand_out(job, offset)
        return job

    def unsynced_files(self) -> list[OpenFile]:
        """Files with bytes that only the journal has on the medium."""
        return [segment.file for segment in self._unsynced]

    def mark(self) -> Mark:
        """What a sync of all files that begins now will have synced, for `synced`."""
        return Mark(self.flushed_offset, self._jobs)

    def synced(self, mark: Mark) -> None:
        """All files were synced after `mark` was taken."""
        if mark.jobs <= self._stale:
            return
        self.recovery_point = max(self.recovery_point, mark.offset)
        for segment, last in list(self._unsynced.items()):
            if last <= mark.jobs:
                del self._unsynced[segment]
