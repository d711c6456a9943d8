"""Looks at how much space is left on the log directory's file system, and acts on it."""
from __future__ import annotations

import logging
from collections.abc import Callable

from fastbroker.handlers.context import Broker
from fastbroker.storage.space import watermarks

log = logging.getLogger(__name__)

LOOK_MS, LOOK_OFTEN_MS = 1000, 100  # often: while less than twice the watermark is left
RETAIN_MS = 10_000  # between two rounds of retention while space is short


class SpaceWatch:
    """Owned by the worker's loop. A look is one statvfs, away from any request.

    retain(): begins to drop old segments. hurry(): removes files that wait to be removed.
    """

    def __init__(
        self, broker: Broker, retain: Callable[[], object], hurry: Callable[[], object]
    ) -> None:
        self.broker, self.retain, self.hurry = broker, retain, hurry
        self._retained_at = 0

    def start(self) -> None:
        """Look now, and from now on."""
        self.look()
        space = self.broker.log_dir.space
        is_near = space.free_bytes < 2 * space.marks.min_free
        self.broker.timers.after(LOOK_OFTEN_MS if is_near else LOOK_MS, self.start)

    def look(self) -> None:
        """See what is free; refuse records, or take them again."""
        log_dir, config = self.broker.log_dir, self.broker.config
        if log_dir.failure is not None:
            return
        space = log_dir.space
        try:
            total, free = log_dir.disk.usable_bytes(log_dir.path)
        except OSError as error:
            log_dir.fault(error)
            return
        marks = watermarks(
            total,
            min_free=config["log.dir.min.free.bytes"],
            reserved=config["log.dir.reserved.bytes"],
        )
        has_changed = space.update(free, marks)
        if has_changed and space.is_short:
            log.error(
                "%s has %d bytes free: records of clients are refused below %d"
                " (log.dir.min.free.bytes), and old segments are deleted now; reading and deleting"
                " go on, free space there",
                log_dir.path, free, marks.min_free,
            )  # fmt: skip
        elif has_changed:
            log.warning("%s has %d bytes free: records are taken again", log_dir.path, free)
        now_ms = self.broker.timers.monotonic_ms()
        if space.is_short and (has_changed or now_ms - self._retained_at >= RETAIN_MS):
            self._retained_at = now_ms
            self.retain()
        if space.is_short:
            self.hurry()
