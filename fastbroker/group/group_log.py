"""Lines about groups in the log: few for each of them and few altogether, whatever clients do."""
from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice

from fastbroker.log_rate import LogRate
from fastbroker.model import Timers

BURST, LINE_EVERY_S = 200, 0.1  # of all groups of a shard
REASON_MAX = 200  # of a text that a client sent
NAMES_MAX = 10


class GroupLog:
    """Stands for a Logger where lines begin with a group's id. Owned by a shard."""

    def __init__(self, log: logging.Logger, timers: Timers) -> None:
        self._log, self._timers = log, timers
        self._of_group = LogRate()
        self._of_all = LogRate(burst=BURST, line_every_s=LINE_EVERY_S)

    def info(self, line: str, group_id: str, *args: object) -> None:
        """A line whose first argument is the group's id."""
        self._write(logging.INFO, line, group_id, args)

    def warning(self, line: str, group_id: str, *args: object) -> None:
        self._write(logging.WARNING, line, group_id, args)

    def _write(self, level: int, line: str, group_id: str, args: tuple[object, ...]) -> None:
        now_s = self._timers.monotonic_ms() / 1000
        if not self._of_group.allows(group_id, now_s) or not self._of_all.allows("", now_s):
            return
        unsaid = self._of_group.held_back(group_id)
        if unsaid:
            line, args = line + " (%d lines about this group were left out)", (*args, unsaid)
        elsewhere = self._of_all.held_back("")
        if elsewhere:
            line, args = line + " (%d lines about groups were left out)", (*args, elsewhere)
        self._log.log(level, line, group_id, *args)


def shortened(text: str) -> str:
    """A text that a client sent, at most REASON_MAX characters of it."""
    return text if len(text) <= REASON_MAX else text[:REASON_MAX] + "..."


def listed(names: Iterable[str], *, separator: str = ", ") -> str:
    """The first NAMES_MAX names, and how many more there are."""
    names = iter(names)
    first = list(islice(names, NAMES_MAX))
    more = sum(1 for _ in names)
    return separator.join(first) + (f" and {more} more" if more else "")


def members(count: int) -> str:
    """So many members."""
    return "1 member" if count == 1 else f"{count} members"
