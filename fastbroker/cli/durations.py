"""Times as people write and read them: 1h30m, 2d 3h, 2026-01-31 12:00:00Z."""
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import click

MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
MAX_MS = 2**53
_PARTS = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+)(ms|[smhdw])")
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)S)?)?"
)


def parse(text: str) -> int:
    """Milliseconds of 90s, 1h30m, 2d, or ISO 8601's PT1H. Raises ValueError."""
    plain = text.strip()
    if _PARTS.fullmatch(plain):
        found = sum(int(number) * MS[unit] for number, unit in _PART.findall(plain))
    else:
        iso = _ISO.fullmatch(plain.upper())
        if iso is None or not any(iso.groups()):
            raise ValueError(f"{text!r} is no duration; write one as 90s, 5m, 1h30m or 2d")
        found = sum(int(number) * MS[unit] for unit, number in iso.groupdict("0").items())
    if found > MAX_MS:
        raise ValueError(f"{text!r} is too long a time")
    return found


def duration(ms: float) -> str:
    """The two largest units: 350ms, 12s, 5m 10s, 2d 3h; below a second in milliseconds."""
    rest = max(0, round(ms))
    if rest < 1000:
        return f"{rest}ms" if rest else "0s"
    rest //= 1000
    parts: list[tuple[int, str]] = []
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, MS[unit] // 1000)
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number}{unit}" for number, unit in parts[:2] if number)


def moment(ms: int) -> str:
    """A time of day in UTC, to the second."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a producer may write any number
        return f"{ms} ms"


def parse_moment(text: str) -> int:
    """Milliseconds since the epoch of an ISO 8601 time; UTC unless it names a zone.

    Raises ValueError.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time of ISO 8601; write it as 2026-01-31T12:00:00, in UTC, "
            "or with a zone as in 2026-01-31T12:00:00+02:00"
        ) from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


class _Milliseconds(click.ParamType[int]):
    """An option's value. read(text): raises ValueError."""

    read: Callable[[str], int]

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        try:
            return self.read(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Duration(_Milliseconds):
    """An option's value: milliseconds."""

    name = "duration"
    read = staticmethod(parse)


class Moment(_Milliseconds):
    """An option's value: a time of ISO 8601, in ms since the epoch."""

    name = "time"
    read = staticmethod(parse_moment)
