"""Where the time of a request goes."""
from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
    """In the order of _c.meter's."""

    QUEUE = 0
    APPEND = 1
    FLUSH = 2
    REPLICATE = 3
    WAIT = 4
    SEND = 5
    TOTAL = 6
