"""Recovery points, and what else makes the next recovery short, written from time to time."""
from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterator

from fastbroker.handlers.context import Broker
from fastbroker.storage.batch_file import OpenFile
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.log import Log
from fastbroker.storage.space import OUT_OF_FILES
from fastbroker.storage.unflushed import Mark, Unflushed

log = logging.getLogger(__name__)

SLICE_MS, PAUSE_MS = 3, 20  # the loop's share
SYNC_ALL_FROM = 64  # files: from here on one sync of the file system does for all


class Saving:
    """Owned by the worker's loop; one is under way at a time. failed(error): a sync failed,
    for whatever reason but a lack of files to open.

    Logs that have grown write their indexes, a snapshot of producers and their leader epochs, in
    slices; a thread of the loop's executor syncs the epochs, and what of logs only the journal has,
    and then writes the recovery points.
    """

    def __init__(
        self, loop: AbstractEventLoop, broker: Broker, failed: Callable[[OSError], object]
    ) -> None:
        self.loop, self.broker, self._failed = loop, broker, failed
        # Of its own, and opened before anything is written: each is told of a failed write once.
        disk, path = broker.log_dir.disk, broker.log_dir.path
        self._directory = OpenFile(disk, disk.open(path, write=False))
        self._logs: Iterator[Log] = iter(())
        self._written: list[LeaderEpochs] = []
        self._marks: list[tuple[Unflushed, Mark]] = []
        self._is_under_way = self._is_closed = False

    def close(self) -> None:
        """Nothing is begun any more; a sync that is under way goes on."""
        self._is_closed = True

    def begin(self) -> None:
        """Unless it is under way."""
        if not (self._is_under_way or self._is_closed) and self.broker.log_dir.failure is None:
            self._is_under_way = True
            self._logs = iter(list(self.broker.log_dir.logs.values()))
            self._written, self._marks = [], []
            self._go_on()

    def _go_on(self) -> None:
        """Do a slice."""
        timers = self.broker.timers
        begun_ms = timers.monotonic_ms()
        try:
            for one in self._logs:
                if not one.is_gone and one.save_when_due():
                    self._written.append(one.epochs)
                if one.unflushed.has_journaled:
                    self._marks.append((one.unflushed, one.unflushed.mark()))
                if timers.monotonic_ms() - begun_ms >= SLICE_MS:
                    timers.after(PAUSE_MS, self._go_on)
                    return
        except OSError as error:
            self.broker.log_dir.fault(error)
            log.error("%s: the next recovery will take longer: %s",
                      self.broker.log_dir.path, error)  # fmt: skip
        self._logs = iter(())  # closed ones are not held
        if not self._is_closed:
            self.loop.run_in_executor(None, self._sync).add_done_callback(self._synced)

    def _sync(self) -> list[LeaderEpochs]:
        """On a thread; those that are on the medium: for want of files it may be fewer."""
        disk = self.broker.log_dir.disk
        if self._marks or len(self._written) >= SYNC_ALL_FROM:
            disk.sync_file_system(self._directory.fd)
            return self._written
        synced = []
        for epochs in self._written:
            try:
                disk.sync_file(epochs.path)
            except FileNotFoundError:  # its topic was deleted
                continue
            except OSError as error:
                if error.errno in OUT_OF_FILES:
                    continue
                raise
            synced.append(epochs)
        return synced

    def _synced(self, sync: Future[list[LeaderEpochs]]) -> None:
        self._is_under_way = False
        error = sync.exception()
        if error is not None:
            self._failed(error if isinstance(error, OSError) else OSError(str(error)))
        elif self.broker.log_dir.failure is None and not self._is_closed:
            for epochs in sync.result():
                epochs.synced()  # recovery points stay below what the others lack
            for unflushed, mark in self._marks:
                unflushed.synced(mark)
            self._written, self._marks = [], []
            self._is_under_way = True
            write = self.loop.run_in_executor(None, self.broker.log_dir.write_recovery_points)
            write.add_done_callback(self._wrote)

    def _wrote(self, write: Future[None]) -> None:
        self._is_under_way = False
        if write.exception() is not None:
            log.error("%s: recovery points were not written: %s",
                      self.broker.log_dir.path, write.exception())  # fmt: skip
