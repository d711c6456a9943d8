"""Group commit: one thread syncs, and everything appended meanwhile is one next flush."""
from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from fastbroker.errors import KafkaError
from fastbroker.partition.partition import Partition
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.journal import Journal
from fastbroker.storage.space import is_fault
from fastbroker.worker.checkpoint import Checkpoint
from fastbroker.worker.flush_round import FlushRound, Part
from fastbroker.worker.syncing import Syncing

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

    def _part(self, partition: Partition) -> Part | None:
        """What of `partition` is to be flushed now; None: nothing, or later."""
        job = self._unopened.get(partition)
        try:
            if job is None:
                job = partition.log.begin_flush()
            else:
                self._waiting[partition] = None  # what was written meanwhile is for the next round
            if job is None:
                return None
            names = job.open_names()
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
        self._unopened.pop(partition, None)
        return Part(partition, job, names)

    def _end(self) -> None:
        """The round has been run: unless a sync failed, the next begins before anybody hears of
        this one."""
        done = self._settle(self._thread.end())
        if self._waiting or self._lacking:
            self._begin()
        self._tell(done)

    def _settle(self, failures: list[int]) -> list[Part]:
        """The parts of the round that ended well; others have failed their partitions.

        failures: see SyncThread.end.
        """
        settled, self._round = self._round, None
        if settled is None:
            return []
        settled.end(failures)
        done = []
        for part in settled.parts:
            if part.error is not None:
                self._fail(part.partition, part.error)
            elif part.is_lacking:
                part.is_lacking = False
                self._lacking.append(part)
            else:
                done.append(part)
        return done

    def _tell(self, done: list[Part]) -> None:
        for part in done:
            part.partition.flushed(part.job, is_journaled=part.is_journaled)
        if self._checkpoint is not None:
            self._checkpoint.flushed(sum([one.size for part in done for one in part.job.ranges]))
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
