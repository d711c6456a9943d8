"""Partitions of topics as text: orders:0-2,5."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

PARTITIONS_MAX = 100_000  # named by one argument


def spans(numbers: Iterable[int]) -> str:
    """spans([0, 1, 2, 5]) -> "0-2,5"."""
    out: list[list[int]] = []
    for number in sorted(set(numbers)):
        if out and number == out[-1][1] + 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def topics_text(partitions: Mapping[str, Iterable[int]]) -> str:
    """Partitions by topic, as `orders:0-2 clicks:5`; empty when there are none."""
    return " ".join(
        f"{topic}:{spans(numbers)}" for topic, numbers in sorted(partitions.items()) if numbers
    )


def parse(text: str) -> tuple[str, list[int] | None]:
    """(topic, partitions) of T or T:0-2,5; None: all of them. Raises click.UsageError."""
    topic, colon, rest = text.partition(":")
    if not topic or (colon and not rest):
        raise click.UsageError(f"{text!r} is not of the form TOPIC or TOPIC:0-2,5.")
    if not colon:
        return topic, None
    found: set[int] = set()
    for part in rest.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            raise click.UsageError(f"{text!r}: {part!r} is no partition and no span as 0-2.")
        if int(last) - int(first) >= PARTITIONS_MAX:
            raise click.UsageError(f"{text!r}: {part} is more than {PARTITIONS_MAX} partitions.")
        found.update(range(int(first), int(last) + 1))
    return topic, sorted(found)
