"""Group commit: one thread syncs, and everything appended meanwhile is one next flush."""
from __future__ import annotations

import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from queue import SimpleQueue

from fastbroker.partition.partition import Partition
from fastbroker.storage.log import FlushJob

Round = list[tuple[Partition, FlushJob, Exception | None]]


class Flusher:
    """Syncs the partitions that ask for it. Owned by the worker's loop; the thread only runs jobs.

    failed(error): a sync failed; what was to be synced may be lost.
    Bounded by the number of partitions: one is in a round at most once.
    """

    def __init__(self, loop: AbstractEventLoop, failed: Callable[[OSError], object]) -> None:
        self.loop, self._failed = loop, failed
        self._waiting: dict[Partition, None] = {}
        self._is_due = self._is_running = False
        self._is_open = True
        self._rounds: SimpleQueue[Round | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="flusher", daemon=True)
        self._thread.start()

    def request(self, partition: Partition) -> None:
        """Flush `partition` soon; with it go all that ask in the same turn of the loop."""
        self._waiting[partition] = None
        if not self._is_running and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        if not self._is_open:
            return
        jobs: Round = []
        for partition in self._waiting:
            job = partition.log.begin_flush() if partition.failure is None else None
            if job is not None:
                jobs.append((partition, job, None))
        self._waiting.clear()
        if jobs:
            self._is_running = True
            self._rounds.put(jobs)

    def _work(self) -> None:
        """The thread."""
        while (jobs := self._rounds.get()) is not None:
            done: Round = []
            for partition, job, _ in jobs:
                error: Exception | None = None
                try:
                    job.run()
                except Exception as why:  # `_end` tells the disk's from our own
                    error = why
                done.append((partition, job, error))
            try:
                self.loop.call_soon_threadsafe(self._end, done)
            except RuntimeError:
                return  # the loop was closed meanwhile: nobody waits for this any more

    def _end(self, done: Round) -> None:
        self._is_running = False
        for partition, _, error in done:
            if error is not None:
                self._fail(partition, error)
        if self._waiting:
            self._begin()
        for partition, job, error in done:
            if error is None:
                partition.flushed(job)

    def _fail(self, partition: Partition, error: Exception) -> None:
        if not isinstance(error, OSError):
            raise error
        if isinstance(error, FileNotFoundError) and partition.log.is_gone:
            return  # its directory was renamed under the running job: the topic is deleted
        self._failed(error)
        partition.fail(error)

    def close(self) -> None:
        """End the thread, after the round that it is in; what that did arrives on the loop."""
        self._is_open = False
        self._rounds.put(None)
        self._thread.join()
