"""What systemd hears while the broker runs: that every process answers, and one line of status."""
from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from math import inf

from fastbroker.shared import Counts, SharedMemory
from fastbroker.supervisor import systemd
from fastbroker.supervisor.child import Child
from fastbroker.supervisor.watch import Watch

log = logging.getLogger(__name__)

LOOKS = 8  # at the processes, in one WatchdogSec
BEAT_MAX_S = 1.0
STATUS_EVERY_S = 5.0
ABORT_S = 1.0  # that a hung process has to tell where it hangs


class Oversight:
    """Owned by the supervisor. watchdog_s: systemd's, 0: it does not watch.

    A process that has not beaten for half of it is ended, with SIGABRT so that it tells where it
    hangs, then with SIGKILL, and is started again as after any other end, while the others serve.
    Only when that does not help, or the supervisor itself hangs, systemd ends them all.
    """

    def __init__(self, watchdog_s: float) -> None:
        self._is_watched, self._is_told = watchdog_s > 0, systemd.is_there()
        self._look_s = watchdog_s / LOOKS if self._is_watched else STATUS_EVERY_S
        # How often a process says that its loop turns; 0: nobody listens.
        self.beat_every_s = min(BEAT_MAX_S, self._look_s) if self._is_told else 0.0
        self._watch = Watch(watchdog_s / 2)
        self._aborted: dict[str, float] = {}  # since when
        self._look_at = self._status_at = 0.0
        self._status = ""

    def look(
        self, children: Sequence[Child], shared: SharedMemory, now_s: float, *, is_ready: bool
    ) -> float:
        """Look at `children`, in the order of their lines in `shared`; seconds until the next."""
        if not self._is_told:
            return inf
        if now_s < self._look_at:
            return self._look_at - now_s
        self._look_at = now_s + self._look_s
        counts = [shared.counts(index) for index in range(len(children))]
        if self._is_watched:
            self._look_for_hung(children, counts, now_s)
        if is_ready and now_s >= self._status_at:
            self._status_at = now_s + STATUS_EVERY_S
            self._tell(status(children, counts))
        return self._look_at - now_s

    def ended(self, child: Child) -> None:
        """It is not watched until it beats again."""
        self._watch.forget(child.role)
        self._aborted.pop(child.role, None)
        self._look_at = self._status_at = 0.0

    def feed(self) -> None:
        """Keep systemd's watchdog quiet: the broker stops, which has a deadline of its own."""
        if self._is_watched:
            systemd.notify("WATCHDOG=1")

    def _look_for_hung(
        self, children: Sequence[Child], counts: Sequence[Counts], now_s: float
    ) -> None:
        hung = [
            child
            for child, count in zip(children, counts, strict=True)
            if child.is_running and self._watch.is_hung(child.role, count.beats, now_s)
        ]
        for child in hung:
            self._end(child, now_s)
        if not hung:
            self.feed()

    def _end(self, child: Child, now_s: float) -> None:
        since_s = self._aborted.get(child.role)
        if since_s is None:
            self._aborted[child.role] = now_s
            log.critical("%s has not answered for %.1f s: it is ended", child.role,
                         self._watch.limit_s)  # fmt: skip
            child.kill(signal.SIGABRT)
            self._look_at = now_s + min(ABORT_S, self._look_s)
        elif now_s - since_s >= min(ABORT_S, self._look_s):
            child.kill(signal.SIGKILL)

    def _tell(self, text: str) -> None:
        if text != self._status:
            self._status = text
            systemd.notify(f"STATUS={text}")


def status(children: Sequence[Child], counts: Sequence[Counts]) -> str:
    """One line: how many workers serve, what they hold, and who does not serve."""
    workers = [child for child in children if child.role.startswith("worker")]
    serving = sum(child.is_ready for child in workers)
    connections = sum(count.connections for count in counts)
    partitions = sum(count.partitions for count in counts)
    away = [child.role for child in children if not child.is_ready]
    without = f"; not serving: {', '.join(away)}" if away else ""
    return (
        f"{serving} of {_many(len(workers), 'worker')} serving {_many(partitions, 'partition')} to"
        f" {_many(connections, 'connection')}{without}"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
