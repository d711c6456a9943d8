"""What the value of a record holds.

    value = time, 8 bytes, nanoseconds of the wall clock, big-endian
          | whose, 8 bytes, the probe that sent it, or zeros
          | filler, half of it random and half of it not, so that compression has something to do
"""
from __future__ import annotations

import random
import time

STAMP = 8
HEADER = 16
VARIANTS = 64
PATTERN = b'{"sensor": 1, "degrees": 21.5} '
# A clock that is off by more than a day is no clock: the record is somebody else's.
PLAUSIBLE_NS = 24 * 3600 * 10**9


def fillers(size: int) -> list[bytes]:
    """VARIANTS fillers for values of `size` bytes."""
    rest = max(0, size - HEADER)
    chance = random.Random(rest)
    regular = (PATTERN * (rest // len(PATTERN) + 1))[: rest - rest // 2]
    return [chance.randbytes(rest // 2) + regular for _ in range(VARIANTS)]


def header(whose: int = 0) -> bytes:
    """The first HEADER bytes of a value that is made now."""
    return time.time_ns().to_bytes(STAMP, "big") + whose.to_bytes(STAMP, "big")


def age_us(value: bytes | None, now_ns: int) -> int | None:
    """Microseconds since a value was made; None for one that was not made here."""
    if value is None or len(value) < HEADER:
        return None
    age = now_ns - int.from_bytes(value[:STAMP], "big")
    return max(0, age // 1000) if abs(age) < PLAUSIBLE_NS else None


def whose(value: bytes | None) -> int | None:
    """The probe that sent a value."""
    if value is None or len(value) < HEADER:
        return None
    return int.from_bytes(value[STAMP:HEADER], "big")
