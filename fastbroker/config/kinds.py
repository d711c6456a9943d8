"""How a configuration value is read from text, and written back as Kafka's tools expect it."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

INT_MAX, LONG_MAX = 2**31 - 1, 2**63 - 1


class Kind(NamedTuple):
    """A type of values. parse(text) raises ValueError with what was expected."""

    name: str  # Kafka's: BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST
    code: int  # Kafka's ConfigType in DescribeConfigs responses
    parse: Callable[[str], Any]

    def format(self, value: Any) -> str | None:
        """The text of a parsed value."""
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return ",".join(value)
        if isinstance(value, float):
            return _java_double(value)
        return str(value)


def _java_double(value: float) -> str:
    return "1.7976931348623157E308" if value > 1e300 else repr(float(value))


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered == "true"


def _whole(text: str, low: int, high: int) -> int:
    try:
        if "_" in text:  # which only Python takes
            raise ValueError
        value = int(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
    if not low <= value <= high:
        raise ValueError(f"{value} is not within {low}..{high}")
    return value


def integer(low: int = -INT_MAX - 1, high: int = INT_MAX) -> Kind:
    """INT within [low, high]."""
    return Kind("INT", 3, lambda text: _whole(text, low, high))


def short(low: int = -32768, high: int = 32767) -> Kind:
    """SHORT within [low, high]."""
    return Kind("SHORT", 4, lambda text: _whole(text, low, high))


def long(low: int = -LONG_MAX - 1, high: int = LONG_MAX) -> Kind:
    """LONG within [low, high]."""
    return Kind("LONG", 5, lambda text: _whole(text, low, high))


def double(low: float | None = None, high: float | None = None) -> Kind:
    """DOUBLE within [low, high]."""

    def parse(text: str) -> float:
        try:
            if "_" in text:
                raise ValueError
            value = float(text.strip())
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"{text} is not within {low}..{high}")
        return value

    return Kind("DOUBLE", 6, parse)


def string(choices: Sequence[str] = ()) -> Kind:
    """STRING, one of `choices` when there are any."""

    def parse(text: str) -> str:
        value = text.strip()
        if choices and value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        return value

    return Kind("STRING", 2, parse)


def items(choices: Sequence[str] = (), *, at_least: int = 0) -> Kind:
    """LIST: comma-separated, a tuple of texts."""

    def parse(text: str) -> tuple[str, ...]:
        values = tuple(one for one in (part.strip() for part in text.split(",")) if one)
        for value in values:
            if choices and value not in choices:
                raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        if len(set(values)) != len(values):
            raise ValueError(f"{text!r} names something twice")
        if len(values) < at_least:
            raise ValueError("the list is empty")
        return values

    return Kind("LIST", 7, parse)


BOOLEAN = Kind("BOOLEAN", 1, _boolean)
STRING = string()
