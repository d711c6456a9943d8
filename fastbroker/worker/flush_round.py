"""One round of the sync thread: what it is given, and what became of it.

A round costs one sync for each file that was written or, where several partitions have written a
little, one sync of the commit journal, which takes a copy of that. Small files and names, of new
segments and of leader epochs, are always synced themselves.
"""
from __future__ import annotations

import os
from collections.abc import Sequence

from fastbroker._c.sync_thread import DATA, WHOLE
from fastbroker.partition.partition import Partition
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.journal import RANGE_BYTES, Journal, JournalWrite
from fastbroker.storage.space import LIMITS
from fastbroker.worker.syncing import Syncing

# Partitions in a round that have written a little. A sync takes as long as copying some 200 KiB;
# two of them cost less than a copy that must be synced in its segment later, too.
JOURNAL_FROM = 3


class Part:
    """One partition's share of a round.

    error: why it failed. is_lacking: the journal could not grow for it, nothing was lost: it is for
    another round, in which its files are synced.
    """

    __slots__ = ("error", "is_journaled", "is_lacking", "job", "names", "partition")

    def __init__(
        self, partition: Partition, job: FlushJob, names: list[tuple[int, bool]]
    ) -> None:
        self.partition, self.job, self.names = partition, job, names
        self.is_journaled = self.is_lacking = False
        self.error: OSError | None = None

    def is_small(self) -> bool:
        """Whether it may be journaled."""
        job = self.job
        return job.may_be_journaled and all([one.size <= RANGE_BYTES for one in job.ranges])

    def close_names(self) -> None:
        for fd, _ in self.names:
            self.job.disk.close(fd)
        self.names = []


class FlushRound:
    """Made, begun and ended once. journal: None: there is none."""

    def __init__(self, parts: list[Part], journal: Journal | None) -> None:
        self.parts, self._journal = parts, journal
        self._write: JournalWrite | None = None
        if journal is not None and len(parts) >= JOURNAL_FROM:
            small = [part for part in parts if part.job.ranges and part.is_small()]
            if len(small) >= JOURNAL_FROM:
                self._write = self._prepare(journal, small)

    def _prepare(self, journal: Journal, parts: list[Part]) -> JournalWrite | None:
        write = journal.prepare([(part.partition.log.unflushed, part.job) for part in parts])
        if write is not None:
            for part in parts:
                part.is_journaled = True
        return write

    def begin(self, thread: Syncing) -> None:
        files: list[tuple[int, int]] = []
        for part in self.parts:
            if not part.is_journaled:
                files += [(file.fd, DATA) for file in part.job.files]
            for fd, is_directory in part.names:
                files.append((fd, WHOLE if is_directory else DATA))
        if self._write is None:
            thread.begin(files)
        else:
            thread.begin(files, self._write.fd, self._write.frames)

    def end(self, failures: Sequence[int]) -> None:
        """It was run; `failures`: see SyncThread.end. Every part then knows what became of it."""
        at = 0
        for part in self.parts:
            end = at + len(part.names) + (0 if part.is_journaled else len(part.job.files))
            _take(part, failures[at:end])
            at = end
            if part.names:
                part.close_names()
        write, journal = self._write, self._journal
        if write is None or journal is None:
            return
        journaled = [part for part in self.parts if part.is_journaled]
        for part in journaled:
            end = at + sum([one.size > 0 for one in part.job.ranges])
            if not part.partition.log.unflushed.is_stale(part.job):
                _take(part, failures[at:end])
            at = end
        number = failures[at]
        if number == 0:
            journal.written(write)
        elif number in LIMITS:
            journal.gave_up(write)
            for part in journaled:
                part.is_journaled, part.is_lacking = False, True
                part.job = part.job._replace(may_be_journaled=False)
        else:
            for part in journaled:
                _take(part, [number])


def _take(part: Part, numbers: Sequence[int]) -> None:
    """The first failure of a part counts."""
    if any(numbers) and part.error is None:
        number = next(filter(None, numbers))
        part.error = OSError(number, os.strerror(number), part.partition.log.directory)
