"""Group commit: one thread syncs, and everything appended meanwhile is one next flush."""
from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastbroker.errors import KafkaError
from fastbroker.partition.partition import Partition
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.journal import Journal
from fastbroker.storage.space import is_fault
from fastbroker.worker.checkpoint import Checkpoint
from fastbroker.worker.flush_round import FlushRound, Part
from fastbroker.worker.syncing import Syncing

if TYPE_CHECKING:
    from fastbroker.worker.flush_counts import FlushCounts

FULL_RETRY_S = 0.1  # until a partition is flushed again whose small files had no space


class Flusher:
    """Syncs the partitions that ask for it. Owned by the worker's loop.

    failed(error): a sync failed; what was to be synced may be lost.
    journal, checkpoint: for rounds of many partitions, and what makes room there; None: every file
    is synced itself.
    Bounded by the number of partitions: one is in a round at most once, or twice after a journal
    that could not grow.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        thread: Syncing,
        failed: Callable[[OSError], object],
        journal: Journal | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.loop, self._thread, self._failed = loop, thread, failed
        self._journal, self._checkpoint = journal, checkpoint
        self._waiting: dict[Partition, None] = {}
        self._lacking: list[Part] = []
        # Jobs that were begun and whose small files could not be opened: there were no descriptors.
        self._unopened: dict[Partition, FlushJob] = {}
        self._round: FlushRound | None = None
        self.counts: FlushCounts | None = None  # while metrics are served
        self._is_due = False
        self._is_open = True
        loop.add_reader(thread.done_fd, self._end)

    def request(self, partition: Partition) -> None:
        """Flush `partition` soon; with it go all that ask in the same turn of the loop."""
        self._waiting[partition] = None
        if self._round is None and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        if not self._is_open:
            return
        waiting, self._waiting = self._waiting, {}
        parts = [part for part in self._lacking if part.partition.failure is None]
        self._lacking = []
        for partition in waiting:
            part = self._part(partition) if partition.failure is None else None
            if part is not None:
                parts.append(part)
        if parts:
            self._round = FlushRound(parts, self._journal)
            self._round.begin(self._thread)
            if self.counts is not None:
                self.counts.begun()

    def _part(self, partition: Partition) -> Part | None:
        """What of `partition` is to be flushed now; None: nothing, or later."""
        job = self._unopened.get(partition) if self._unopened else None
        try:
            if job is None:
                job = partition.log.begin_flush()
            else:
                self._waiting[partition] = None  # what was written meanwhile is for the next round
            if job is None:
                return None
            names = job.open_names() if job.directories or job.paths else ()
        except KafkaError:
            return None  # it was dropped
        except OSError as error:
            if is_fault(error):
                self._fail(partition, error)
                return None
            # Nothing was lost, nor promised; what was taken out of the log waits here.
            self._waiting.pop(partition, None)
            if job is not None:
                self._unopened[partition] = job
            self.loop.call_later(FULL_RETRY_S, self.request, partition)
            return None
        if self._unopened:
            self._unopened.pop(partition, None)
        return Part(partition, job, names)

    def _end(self) -> None:
        """The round has been run: unless a sync failed, the next begins before anybody hears of
        this one."""
        ended = self._settle(self._thread.end())
        if self._waiting or self._lacking:
            self._begin()
        self._tell(ended)

    def _settle(self, failures: list[int]) -> FlushRound | None:
        """The round that was run; what failed in it has failed its partitions.

        failures: see SyncThread.end.
        """
        ended, self._round = self._round, None
        if ended is not None:
            if self.counts is not None:
                self.counts.ended()
            ended.end(failures)
            self._lacking += ended.lacking
            for part, error in ended.failed.items():
                self._fail(part.partition, error)
        return ended

    def _tell(self, ended: FlushRound | None) -> None:
        if ended is None:
            return
        size = batches = 0
        for parts, is_journaled in (ended.journaled, True), (ended.direct, False):
            if ended.failed or ended.lacking:
                but = {*ended.failed, *ended.lacking}
                parts = [part for part in parts if part not in but]
            for part in parts:
                size += part.job.size
                batches += part.job.batches
                part.partition.flushed(part.job, is_journaled=is_journaled)
        if self.counts is not None:
            self.counts.flushed(batches, size)
        if self._checkpoint is not None:
            self._checkpoint.flushed(size)
            self._checkpoint.look()

    def _fail(self, partition: Partition, error: OSError) -> None:
        self._failed(error)
        partition.fail(error)

    def close(self) -> None:
        """End the thread, after the round that it is in; what was to follow is left to whoever
        closes the logs."""
        self._is_open = False
        self.loop.remove_reader(self._thread.done_fd)
        self._tell(self._settle(self._thread.close()))
