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
    """One partition's share of a round. names: opened, and closed when the round ends."""

    __slots__ = ("job", "names", "partition")

    def __init__(
        self, partition: Partition, job: FlushJob, names: Sequence[tuple[int, bool]]
    ) -> None:
        self.partition, self.job, self.names = partition, job, names

    def may_be_journaled(self) -> bool:
        """Whether it has written a little, which may be."""
        job = self.job
        return job.may_be_journaled and 0 < job.largest <= RANGE_BYTES


class FlushRound:
    """Made, begun and ended once. journal: None: there is none.

    journaled, direct: the parts whose ranges go to the journal, and those whose files are synced.
    Once it has ended, failed: the parts that did, and why; lacking: those for which the journal
    could not grow: nothing was lost, in another round their files are synced.
    """

    def __init__(self, parts: list[Part], journal: Journal | None) -> None:
        self.direct, self.journaled = parts, list[Part]()
        self.failed: dict[Part, OSError] = {}
        self.lacking: list[Part] = []
        self._journal = journal
        self._write: JournalWrite | None = None
        if journal is not None and len(parts) >= JOURNAL_FROM:
            small = [part for part in parts if part.may_be_journaled()]
            if len(small) >= JOURNAL_FROM:
                self._prepare(journal, small)

    def _prepare(self, journal: Journal, parts: list[Part]) -> None:
        self._write = journal.prepare([part.job for part in parts])
        if self._write is not None:
            self.journaled = parts
            journaled = frozenset(parts)
            self.direct = [part for part in self.direct if part not in journaled]

    def begin(self, thread: Syncing) -> None:
        files = [(file.fd, DATA) for part in self.direct for file in part.job.files]
        for part in self._named():
            files += [(fd, WHOLE if is_directory else DATA) for fd, is_directory in part.names]
        if self._write is None:
            thread.begin(files)
        else:
            thread.begin(files, self._write.fd, self._write.frames)

    def _named(self) -> list[Part]:
        return [part for part in self.direct + self.journaled if part.names]

    def end(self, failures: Sequence[int]) -> None:
        """It was run; `failures`: see SyncThread.end. Every part's outcome is known then."""
        if any(failures):
            self._look_at(failures)
        elif self._write is not None and self._journal is not None:
            self._journal.written(self._write)
        for part in self._named():
            for fd, _ in part.names:
                part.job.log.disk.close(fd)
            part.names = ()

    def _look_at(self, failures: Sequence[int]) -> None:
        at = 0
        for part in self.direct:
            at = self._take(part, failures, at, len(part.job.files))
        for part in self._named():
            at = self._take(part, failures, at, len(part.names))
        write, journal = self._write, self._journal
        if write is None or journal is None:
            return
        for part in self.journaled:
            count = sum([one.size > 0 for one in part.job.ranges])
            if part.job.log.is_stale(part.job):
                at += count  # what was to be copied has been cut off
            else:
                at = self._take(part, failures, at, count)
        number = failures[at]
        if number == 0:
            journal.written(write)
        elif number in LIMITS:
            journal.gave_up(write)
            for part in self.journaled:
                part.job.may_be_journaled = False
            self.lacking = [part for part in self.journaled if part not in self.failed]
        else:
            for part in self.journaled:
                self._take(part, [number], 0, 1)

    def _take(self, part: Part, failures: Sequence[int], at: int, count: int) -> int:
        """The next `count` failures, from `at` on, are of `part`, of which the first counts; where
        those of others begin."""
        number = next(filter(None, failures[at : at + count]), 0)
        if number and part not in self.failed:
            self.failed[part] = OSError(number, os.strerror(number), part.partition.log.directory)
        return at + count
