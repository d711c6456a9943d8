"""Rounds over all logs, open or not, in slices that hold up nobody: retention, and after a crash
the recovery of logs that no client has asked for yet."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError
from fastbroker.handlers.context import Broker
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.worker.compaction import will_be_due

log = logging.getLogger(__name__)

SLICE_MS, PAUSE_MS = 5, 20  # the loop's share of a round
PROGRESS_MS = 1000  # between two lines about a recovery that takes long


class Rounds:
    """Owned by the worker's loop. One round is under way at a time.

    remove(delay_ms, path): removes a renamed file later. request_flush: see Partition.
    A log that was opened for a round is closed after it, and so is one that nobody has used since
    the round before: what is idle costs next to nothing.
    """

    def __init__(
        self,
        broker: Broker,
        remove: Callable[[int, str], object],
        request_flush: Callable[[Partition], object],
    ) -> None:
        self.broker, self.remove, self.request_flush = broker, remove, request_flush
        # When retention is due next in a log that is closed, under the configuration of then.
        self._due: dict[TopicPartition, tuple[int, TopicConfig]] = {}
        self._names: Iterator[TopicPartition] | None = None
        self._count = self._total = 0
        self._recovers = False
        self._begun_ms = self._told_ms = 0

    def start(self) -> None:
        """Begin with the first round when there may be something to recover."""
        if not self.broker.log_dir.was_clean:
            self._recovers = True
            self.begin()
        self._later()

    def _later(self) -> None:
        def run() -> None:
            self.begin()
            self._later()

        self.broker.timers.after(self.broker.config["log.retention.check.interval.ms"], run)

    def begin(self) -> None:
        """Begin a round, unless one is under way."""
        if self._names is None:
            names = list(self.broker.partitions)
            self._names, self._count, self._total = iter(names), 0, len(names)
            self._begun_ms = self._told_ms = self.broker.timers.monotonic_ms()
            self._go_on()

    def _go_on(self) -> None:
        """Do a slice."""
        assert self._names is not None
        timers = self.broker.timers
        begun_ms = now_ms = timers.monotonic_ms()
        while now_ms - begun_ms < SLICE_MS:
            name = next(self._names, None)
            if name is None:
                self._end(now_ms)
                return
            self._count += 1
            partition = self.broker.partitions.get(name)
            if partition is not None and partition.failure is None:
                self._visit(partition)
            now_ms = timers.monotonic_ms()
        if self._recovers and now_ms - self._told_ms >= PROGRESS_MS:
            self._told_ms = now_ms
            log.info("recovery: %d of %d logs looked at", self._count, self._total)
        timers.after(PAUSE_MS, self._go_on)

    def _end(self, now_ms: int) -> None:
        self._names = None
        self._due = {name: one for name, one in self._due.items() if name in self.broker.partitions}
        if self._recovers and now_ms - self._begun_ms >= PROGRESS_MS:
            took = (now_ms - self._begun_ms) / 1000
            log.info("recovery: all %d logs looked at, %.1f s beside serving", self._total, took)
        self._recovers = False

    def _is_due(self, partition: Partition, now_ms: int) -> bool:
        """Whether a log that is closed has to be looked at."""
        due_ms, config = self._due.get(partition.name, (0, None))
        if config is not None and config is self.broker.topic_config(partition.name.topic):
            return now_ms >= due_ms
        return self.broker.log_dir.has_files(partition.name)

    def _visit(self, partition: Partition) -> None:
        """Drop old segments, and close the log if nobody uses it."""
        one = partition.opened
        now_ms = self.broker.timers.now_ms()
        if one is None and not self._is_due(partition, now_ms):
            return
        try:
            if partition.is_leader:
                delay_ms = partition.log.config.file_delete_delay_ms
                for path in partition.log.retain(now_ms, partition.high_watermark):
                    self.remove(delay_ms, path)
            opened = partition.opened
            if opened is None:
                return
            opened.let_go_of_files()  # what was opened to learn how old it is
            if not opened.unflushed.is_synced:
                self.request_flush(partition)
            was_used = opened.segments.forget_recent() and one is not None
            if one is None and opened.producers.producers:
                was_used = True  # one of them may repeat a batch of before the start
            is_held = partition.name in self.broker.log_dir.held
            if was_used or is_held or not partition.is_idle:
                return
            if not will_be_due(self.broker, partition):  # whoever compacts looks at open logs
                self._due[partition.name] = opened.next_due_ms(now_ms), opened.config
                self.broker.log_dir.close_log(partition.name)
                partition.forget_log()
        except (OSError, KafkaError) as error:
            if isinstance(error, OSError):
                self.broker.log_dir.fault(error)
            log.error("%s: old segments stay for now: %s", partition.name, error)
