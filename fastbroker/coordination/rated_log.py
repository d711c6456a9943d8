"""A coordinator's lines in the log: few about each group or transactional id and few altogether,
whatever clients do."""
from __future__ import annotations

import logging

from fastbroker.log_rate import LogRate
from fastbroker.model import Timers

BURST, LINE_EVERY_S = 200, 0.1  # of all together


class RatedLog:
    """Stands for a Logger where the first argument of a line is the name of what it is about.

    kind, kinds: what is named, for what is said of lines that were left out.
    """

    def __init__(self, log: logging.Logger, timers: Timers, kind: str, kinds: str) -> None:
        self._log, self._timers, self._kind, self._kinds = log, timers, kind, kinds
        self._of_each = LogRate()
        self._of_all = LogRate(burst=BURST, line_every_s=LINE_EVERY_S)

    def info(self, line: str, name: str, *args: object) -> None:
        self._write(logging.INFO, line, name, args)

    def warning(self, line: str, name: str, *args: object) -> None:
        self._write(logging.WARNING, line, name, args)

    def error(self, line: str, name: str, *args: object) -> None:
        self._write(logging.ERROR, line, name, args)

    def _write(self, level: int, line: str, name: str, args: tuple[object, ...]) -> None:
        now_s = self._timers.monotonic_ms() / 1000
        if not self._of_each.allows(name, now_s) or not self._of_all.allows("", now_s):
            return
        unsaid = self._of_each.held_back(name)
        if unsaid:
            line += f" (%d lines about this {self._kind} were left out)"
            args = (*args, unsaid)
        elsewhere = self._of_all.held_back("")
        if elsewhere:
            line += f" (%d lines about {self._kinds} were left out)"
            args = (*args, elsewhere)
        self._log.log(level, line, name, *args)
