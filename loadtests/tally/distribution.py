"""Latencies in buckets that are at most 3 % wide, so that all of them can be kept."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

# Below 64 µs a bucket is a microsecond wide; from there on every doubling has 32 buckets.
FINE_BITS = 5


def bucket(us: int) -> int:
    """The number of the bucket that `us` microseconds fall into; below zero is zero."""
    shift = us.bit_length() - FINE_BITS - 1
    if us < 0:
        return 0
    return us if shift <= 0 else (shift << FINE_BITS) + (us >> shift)


def middle_us(number: int) -> float:
    """The middle of a bucket, in microseconds."""
    shift = (number >> FINE_BITS) - 1
    if shift <= 0:
        return float(number)
    low = ((number & (1 << FINE_BITS) - 1) + (1 << FINE_BITS)) << shift
    return low + (1 << shift) / 2


class Distribution:
    """How many latencies fell into each bucket."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts or {})

    def add(self, latencies_us: Iterable[int]) -> None:
        """Count each of them."""
        self.counts.update(map(bucket, latencies_us))

    def merge(self, other: Distribution) -> None:
        """Count all of the other's, too."""
        self.counts.update(other.counts)

    def count(self) -> int:
        """How many there are."""
        return self.counts.total()

    def quantiles_ms(self, *shares: float) -> list[float | None]:
        """For each of `shares`, ascending, the latency that so many stay within; None without any.

        A share of 1 is the largest. The rank is rounded up: p99 of 10 is the largest.
        """
        found: list[float | None] = []
        total, seen = self.count(), 0
        numbers = iter(sorted(self.counts))
        number = 0
        for share in shares:
            while seen < total and seen < share * total:
                number = next(numbers)
                seen += self.counts[number]
            found.append(middle_us(number) / 1000 if total else None)
        return found
