"""Files of deleted topics and of old segments, removed after a while and off the loop."""
from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future

from fastbroker.model import Timer, Timers
from fastbroker.storage.disk import Disk

log = logging.getLogger(__name__)


class Removal:
    """Removes a renamed file or directory; a large one can take the disk a while, so a thread of
    the loop's executor does it.

    Owned by the worker's loop. What a stop leaves behind is removed at the next start.
    """

    def __init__(self, loop: AbstractEventLoop, timers: Timers, disk: Disk) -> None:
        self.loop, self.timers, self.disk = loop, timers, disk
        self._waiting: dict[str, Timer] = {}

    def __call__(self, delay_ms: int, path: str) -> None:
        """Remove what lies at `path` in `delay_ms`."""
        self._waiting[path] = self.timers.after(delay_ms, self._begin, path)

    def hurry(self) -> None:
        """Remove now what waits: who still reads from a file has it open."""
        for path, timer in list(self._waiting.items()):
            timer.cancel()
            self._begin(path)

    def _begin(self, path: str) -> None:
        self._waiting.pop(path, None)

        def done(future: Future[None]) -> None:
            if future.exception() is not None:
                log.error("%s cannot be removed, do it by hand: %s", path, future.exception())

        self.loop.run_in_executor(None, self._remove, path).add_done_callback(done)

    def _remove(self, path: str) -> None:
        """On a thread."""
        if self.disk.is_directory(path):
            self.disk.remove_directory(path)
        else:
            self.disk.remove(path)
