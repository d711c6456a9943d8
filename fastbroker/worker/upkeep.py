"""What is done from time to time: checkpoints, expiry, late flushes."""
from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Any

from fastbroker.config.kinds import LONG_MAX
from fastbroker.handlers.context import Broker
from fastbroker.model import Deferred
from fastbroker.partition.partition import Partition

log = logging.getLogger(__name__)

LET_GO_MS = 60_000  # between two closings of files that readers have left open


class Upkeep:
    """Owned by the worker's loop. Checkpoints are written on a thread of the loop's executor: a
    slow disk holds up no client.

    request_flush: see Partition. save_recovery_points: see Saving.
    What becomes of old segments is for Rounds.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        broker: Broker,
        request_flush: Callable[[Partition], object],
        save_recovery_points: Callable[[], object],
    ) -> None:
        self.loop, self.broker, self.request_flush = loop, broker, request_flush
        self.save_recovery_points = save_recovery_points

    def start(self) -> None:
        config = self.broker.config
        self._every(
            config["log.flush.offset.checkpoint.interval.ms"], self.save_recovery_points
        )
        self._every(
            config["log.flush.start.offset.checkpoint.interval.ms"], self.save_log_starts
        )
        self._every(
            config["replica.high.watermark.checkpoint.interval.ms"], self.write_high_watermarks
        )
        self._every(config["producer.id.expiration.check.interval.ms"], self.expire_producers)
        self._every(config["offsets.retention.check.interval.ms"], self.expire_groups)
        self._every(
            config["transaction.abort.timed.out.transaction.cleanup.interval.ms"],
            self.abort_timed_out,
        )
        self._every(
            config["transaction.remove.expired.transaction.cleanup.interval.ms"],
            self.expire_transactions,
        )
        self._every(config["log.flush.scheduler.interval.ms"], self.flush_old)
        self._every(LET_GO_MS, self.let_go_of_files)

    def _every(self, interval_ms: int, work: Callable[[], Any]) -> None:
        def run() -> None:
            work()
            self._every(interval_ms, work)

        self.broker.timers.after(interval_ms, run)

    def _in_thread(self, write: Callable[..., None], *args: Any) -> None:
        def written(future: Future[None]) -> None:
            if future.exception() is not None:
                self._not_written(future.exception())

        self.loop.run_in_executor(None, write, *args).add_done_callback(written)

    def _not_written(self, error: BaseException | None) -> None:
        if isinstance(error, OSError):
            self.broker.log_dir.fault(error)
        if self.broker.log_dir.failure is None:
            log.error("a checkpoint was not written, the one before stays for now: %s", error)

    def save_log_starts(self) -> None:
        """Where logs begin."""

        def saved(write: Deferred[None]) -> None:
            if write.error is not None:
                self._not_written(write.error)

        self.broker.save_log_starts().then(saved)

    def write_high_watermarks(self) -> None:
        log_dir, partitions = self.broker.log_dir, self.broker.partitions
        open_ones = {
            name: partitions[name].high_watermark for name in log_dir.logs if name in partitions
        }
        self._in_thread(log_dir.write_high_watermarks, open_ones)

    def let_go_of_files(self) -> None:
        """Files of old segments are not held for longer than somebody reads them."""
        for one in self.broker.log_dir.logs.values():
            one.let_go_of_files()

    def expire_producers(self) -> None:
        """Forget producers that have been silent for producer.id.expiration.ms."""
        before = self.broker.timers.now_ms() - self.broker.config["producer.id.expiration.ms"]
        for one in self.broker.log_dir.logs.values():
            one.producers.expire(before)

    def expire_groups(self) -> None:
        """Give up offsets past retention, and groups that nothing is left of."""
        if self.broker.has_groups:
            self.broker.groups.expire(self.broker.timers.now_ms())

    def abort_timed_out(self) -> None:
        """Abort transactions that have been open for longer than their producers said."""
        if self.broker.has_transactions:
            self.broker.transactions.abort_timed_out(self.broker.timers.now_ms())

    def expire_transactions(self) -> None:
        """Forget transactional ids that nothing has been heard of for long."""
        if self.broker.has_transactions:
            self.broker.transactions.expire(self.broker.timers.now_ms())

    def flush_old(self) -> None:
        """Partitions whose topics do not flush before each acknowledgement, once a batch has waited
        for flush.ms; without one, for the time between two such looks."""
        now_ms = self.broker.timers.now_ms()
        for name, one in self.broker.log_dir.logs.items():
            flush_ms = one.config.flush_ms
            waited_ms = now_ms - one.unflushed.since_ms
            if one.is_dirty and (flush_ms == LONG_MAX or waited_ms >= flush_ms):
                self.request_flush(self.broker.partitions[name])
