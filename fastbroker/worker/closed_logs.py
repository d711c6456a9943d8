"""Sizes and offsets of logs that were not opened since the start: looked up once, on a thread."""
from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future

from fastbroker.handlers.context import Broker
from fastbroker.metrics.samples import MISSING
from fastbroker.partition.partition import Kept, Partition
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.segment_files import LOG, offsets_of

log = logging.getLogger(__name__)

AT_ONCE = 32  # logs that one call of the thread looks at


class ClosedLogs:
    """Owned by the worker's loop. What it finds is kept by the partitions.

    A log that is opened meanwhile speaks for itself, and is known when it is closed.
    """

    def __init__(self, loop: AbstractEventLoop, broker: Broker) -> None:
        self.loop, self.broker = loop, broker
        self._left: list[Partition] = []
        self._is_looking = False

    def look(self) -> None:
        """Begin to look at all that nothing is known of; nothing while that goes on."""
        if not self._is_looking:
            self._left = [one for one in self.broker.partitions.values() if self._is_unknown(one)]
            self._go_on()

    def _is_unknown(self, partition: Partition) -> bool:
        return partition.kept is None and partition.name not in self.broker.log_dir.logs

    def _go_on(self) -> None:
        some = self._left[-AT_ONCE:]
        del self._left[-AT_ONCE:]
        self._is_looking = bool(some)
        if some:
            future = self.loop.run_in_executor(None, _look, self.broker.log_dir, some)
            future.add_done_callback(lambda done: self._found(some, done))

    def _found(self, some: list[Partition], done: Future[list[Kept]]) -> None:
        error = done.exception()
        if isinstance(error, OSError):
            log.warning("sizes of closed logs are not told: %s", error)
            self._left.clear()
        else:
            for partition, kept in zip(some, done.result(), strict=True):
                if self._is_unknown(partition):
                    partition.kept = kept
        self._go_on()


def _look(log_dir: LogDir, some: list[Partition]) -> list[Kept]:
    """On a thread; changes nothing. Raises OSError."""
    found = []
    for partition in some:
        name = partition.name
        directory = log_dir.directory_of(name)
        there = log_dir.disk.is_directory(directory)
        segments = len(list(offsets_of(log_dir.disk.list(directory), LOG))) if there else 0
        end = log_dir.end_of(name)
        found.append(
            Kept(
                0, 0, log_dir.size_of(name), segments, log_dir.start_of(name),
                MISSING if end is None else end,
            )
        )
    return found
