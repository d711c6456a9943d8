"""Group commit: one thread syncs, and everything appended meanwhile is one next flush."""
from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from fastbroker.partition.partition import Partition
from fastbroker.storage.flush_job import FlushJob


class Syncing(Protocol):
    """What syncs files while the loop goes on; see _c.sync_thread.SyncThread."""

    @property
    def done_fd(self) -> int: ...

    def begin(self, files: Sequence[tuple[int, bool]]) -> None: ...

    def end(self) -> list[int]: ...

    def close(self) -> list[int]: ...


class _Part(NamedTuple):
    """One partition's share of a round: `files` fds, of which `opened` are closed after it."""

    partition: Partition
    job: FlushJob
    files: int
    opened: list[int]


class Flusher:
    """Syncs the partitions that ask for it. Owned by the worker's loop.

    failed(error): a sync failed; what was to be synced may be lost.
    Bounded by the number of partitions: one is in a round at most once.
    """

    def __init__(
        self, loop: AbstractEventLoop, thread: Syncing, failed: Callable[[OSError], object]
    ) -> None:
        self.loop, self._thread, self._failed = loop, thread, failed
        self._waiting: dict[Partition, None] = {}
        self._round: list[_Part] = []
        self._is_due = False
        self._is_open = True
        loop.add_reader(thread.done_fd, self._end)

    def request(self, partition: Partition) -> None:
        """Flush `partition` soon; with it go all that ask in the same turn of the loop."""
        self._waiting[partition] = None
        if not self._round and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        if not self._is_open:
            return
        waiting, self._waiting = self._waiting, {}
        files: list[tuple[int, bool]] = []
        for partition in waiting:
            job = partition.log.begin_flush() if partition.failure is None else None
            if job is None:
                continue
            try:
                part, opened = job.descriptors()
            except OSError as error:
                self._fail(partition, error)
                continue
            files += part
            self._round.append(_Part(partition, job, len(part), opened))
        if self._round:
            self._thread.begin(files)

    def _end(self) -> None:
        """The round has been run: unless a sync failed, the next begins before anybody hears of
        this one."""
        done = self._settle(self._thread.end())
        if self._waiting:
            self._begin()
        for partition, job in done:
            partition.flushed(job)

    def _settle(self, failures: list[int]) -> list[tuple[Partition, FlushJob]]:
        """The jobs of the round that ended well; the others have failed their partitions.

        failures: errno of each file, 0 for those that are synced.
        """
        parts, self._round = self._round, []
        done = []
        at = 0
        for partition, job, size, opened in parts:
            number = next(filter(None, failures[at : at + size]), 0)
            at += size
            for fd in opened:
                job.disk.close(fd)
            if number:
                self._fail(partition, OSError(number, os.strerror(number), partition.log.directory))
            else:
                done.append((partition, job))
        return done

    def _fail(self, partition: Partition, error: OSError) -> None:
        self._failed(error)
        partition.fail(error)

    def close(self) -> None:
        """End the thread, after the round that it is in; what was to follow is left to whoever
        closes the logs."""
        self._is_open = False
        self.loop.remove_reader(self._thread.done_fd)
        for partition, job in self._settle(self._thread.close()):
            partition.flushed(job)
