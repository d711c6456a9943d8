"""Lines about groups in the log: what clients say in them is kept short."""
from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice

from fastbroker.coordination.rated_log import RatedLog
from fastbroker.model import Timers

REASON_MAX = 200  # of a text that a client sent
NAMES_MAX = 10


class GroupLog(RatedLog):
    """Owned by a shard."""

    def __init__(self, log: logging.Logger, timers: Timers) -> None:
        super().__init__(log, timers, "group", "groups")


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
