"""What of a log is on the medium, and what is not yet: the bookkeeping of its flushes.

Invariant: recovery_point <= flushed_offset <= the log's end.
"""
from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from fastbroker.storage.batch_file import OpenFile
from fastbroker.storage.disk import Disk
from fastbroker.storage.flush_job import DirtyRange, FlushJob
from fastbroker.storage.segment import Segment


class Mark(NamedTuple):
    """How far a log was flushed at some time, and the last of its jobs then."""

    offset: int
    jobs: int


class _Written:
    """Bytes of one segment, written since the last flush."""

    __slots__ = ("end", "position", "segment")

    def __init__(self, segment: Segment, position: int) -> None:
        self.segment, self.position, self.end = segment, position, position


class Unflushed:
    """Owned by a Log. Jobs run one after the other; one may begin before the end of the one
    before it, which has run, is told.

    flushed_offset: everything below is on the medium, in its segment or in the commit journal.
    recovery_point: everything below is on the medium in its own segment.
    since_ms: when the oldest batch that waits for a flush was written.
    topic_id: by which the commit journal knows the directory again; None: nothing is journaled.
    Bounded by the segments written between two checkpoints of the journal.
    """

    def __init__(self, disk: Disk, directory: str) -> None:
        self.disk, self.directory = disk, directory
        self.flushed_offset = 0
        self.recovery_point = 0
        self.since_ms = 0
        self.topic_id: bytes | None = None
        self._written: list[_Written] = []
        # Segments that are yet to be synced themselves -> the last job with bytes of them.
        self._unsynced: dict[Segment, int] = {}
        self._paths: set[str] = set()
        self._directories: set[str] = set()
        self._jobs = 0
        self._stale = -1  # this job and those before it are of a log that was cut since

    @property
    def has_written(self) -> bool:
        """Whether there are bytes that no flush has been asked for."""
        return bool(self._written)

    @property
    def has_rolled(self) -> bool:
        """Whether some of them are in a segment that is closed."""
        return len(self._written) > 1

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
        for segment in segments:
            self._unsynced.pop(segment, None)

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
        self._stale = self._jobs

    def begin(self, offset: int, *, is_last: bool = False) -> FlushJob | None:
        """What is to be synced now that the log ends at `offset`; None: nothing. `end` follows.

        is_last: what is in the journal is to be synced, too.
        """
        is_needed = self._written or self._directories or self._paths
        if not is_needed and not (is_last and self._unsynced):
            return None
        ranges, end = [], offset
        for one in reversed(self._written):
            base, size = one.segment.base_offset, one.end - one.position
            ranges.append(DirtyRange(one.segment.file, base, one.position, size, end))
            end = base
        ranges.reverse()
        was_cut = self._stale == self._jobs
        self._jobs += 1
        for one in self._written:
            self._unsynced[one.segment] = self._jobs
        self._written = []
        paths: list[str] = []
        directories: list[str] = []
        if self._paths or self._directories:
            paths = sorted(self._paths)
            directories = sorted(self._directories, reverse=True)  # a parent after what is in it
            self._paths, self._directories = set(), set()
        may_be_journaled = self.topic_id is not None and not was_cut
        return FlushJob(
            self.disk, ranges, self.unsynced_files(), paths, directories, offset,
            may_be_journaled, self._jobs,
        )  # fmt: skip

    def unsynced_files(self) -> list[OpenFile]:
        """Files with bytes that only the journal has on the medium."""
        return [segment.file for segment in self._unsynced]

    def is_stale(self, job: FlushJob) -> bool:
        """Whether the log was cut since `job` began."""
        return job.number <= self._stale

    def end(self, job: FlushJob, *, is_journaled: bool = False) -> None:
        """`job` has run without an error; is_journaled: its ranges are in the journal."""
        if self.is_stale(job):
            return
        self.flushed_offset = max(self.flushed_offset, job.offset)
        if not is_journaled:
            self.recovery_point = max(self.recovery_point, job.offset)
            for segment in [one for one, last in self._unsynced.items() if last <= job.number]:
                del self._unsynced[segment]

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
