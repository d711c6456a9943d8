"""What is done from time to time: retention, checkpoints, expiry."""
from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Any

from fastbroker.config.kinds import LONG_MAX
from fastbroker.errors import KafkaError
from fastbroker.handlers.context import Broker
from fastbroker.partition.partition import Partition

log = logging.getLogger(__name__)

LET_GO_MS = 60_000  # between two closings of files that readers have left open


class Upkeep:
    """Owned by the worker's loop. Checkpoints are written on a thread of the loop's executor: a
    slow disk holds up no client.

    request_flush: see Partition. remove(delay_ms, path): removes a renamed file later.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        broker: Broker,
        request_flush: Callable[[Partition], object],
        remove: Callable[[int, str], object],
    ) -> None:
        self.loop, self.broker = loop, broker
        self.request_flush, self.remove = request_flush, remove

    def start(self) -> None:
        config = self.broker.config
        self._every(config["log.retention.check.interval.ms"], self.retain)
        self._every(
            config["log.flush.offset.checkpoint.interval.ms"],
            self._in_thread(self.broker.log_dir.write_recovery_points),
        )
        self._every(
            config["log.flush.start.offset.checkpoint.interval.ms"],
            self._in_thread(self.broker.log_dir.write_log_starts),
        )
        self._every(
            config["replica.high.watermark.checkpoint.interval.ms"],
            self._in_thread(self._write_high_watermarks),
        )
        self._every(config["producer.id.expiration.check.interval.ms"], self.expire_producers)
        self._every(
            config["offsets.retention.check.interval.ms"],
            lambda: self.broker.groups.expire(self.broker.timers.now_ms()),
        )
        self._every(
            config["transaction.abort.timed.out.transaction.cleanup.interval.ms"],
            lambda: self.broker.transactions.abort_timed_out(self.broker.timers.now_ms()),
        )
        self._every(
            config["transaction.remove.expired.transaction.cleanup.interval.ms"],
            lambda: self.broker.transactions.expire(self.broker.timers.now_ms()),
        )
        self._every(config["log.flush.scheduler.interval.ms"], self.flush_old)
        self._every(LET_GO_MS, self.let_go_of_files)

    def _every(self, interval_ms: int, work: Callable[[], Any]) -> None:
        def run() -> None:
            work()
            self._every(interval_ms, work)

        self.broker.timers.after(interval_ms, run)

    def _in_thread(self, write: Callable[[], None]) -> Callable[[], None]:
        def written(future: Future[None]) -> None:
            error = future.exception()
            if isinstance(error, OSError):
                self.broker.log_dir.fault(error)
            if error is not None:
                log.error(
                    "a checkpoint was not written, the one before stays: %s%s", error,
                    "" if self.broker.log_dir.failure is not None else "; it is tried again",
                )  # fmt: skip

        def begin() -> None:
            self.loop.run_in_executor(None, write).add_done_callback(written)

        return begin

    def _write_high_watermarks(self) -> None:
        partitions = list(self.broker.partitions.items())
        self.broker.log_dir.write_high_watermarks(
            {name: partition.high_watermark for name, partition in partitions}
        )

    def retain(self) -> None:
        """Drop segments that are too old, too many, or below the log's start."""
        now_ms = self.broker.timers.now_ms()
        for partition in list(self.broker.partitions.values()):
            if not partition.is_leader or partition.failure is not None:
                continue
            try:
                dropped = partition.log.retain(now_ms, partition.high_watermark)
            except (OSError, KafkaError) as error:
                if isinstance(error, OSError):
                    self.broker.log_dir.fault(error)
                log.error("%s: old segments stay for now: %s", partition.name, error)
                continue
            for path in dropped:
                self.remove(partition.log.config.file_delete_delay_ms, path)

    def let_go_of_files(self) -> None:
        """Files of old segments are not held for longer than somebody reads them."""
        for partition in self.broker.partitions.values():
            partition.log.let_go_of_files()

    def expire_producers(self) -> None:
        """Forget producers that have been silent for producer.id.expiration.ms."""
        before = self.broker.timers.now_ms() - self.broker.config["producer.id.expiration.ms"]
        for partition in self.broker.partitions.values():
            partition.log.producers.expire(before)

    def flush_old(self) -> None:
        """Partitions whose topics do not flush before each acknowledgement, once a batch has waited
        for flush.ms; without one, for the time between two such looks."""
        now_ms = self.broker.timers.now_ms()
        for partition in self.broker.partitions.values():
            flush_ms = partition.log.config.flush_ms
            waited_ms = now_ms - partition.log.dirty_since_ms
            if partition.log.is_dirty and (flush_ms == LONG_MAX or waited_ms >= flush_ms):
                self.request_flush(partition)
