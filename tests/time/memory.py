"""Whether the memory of a broker goes up: what its code has allocated, hour after hour."""
from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence

OURS = "*/fastbroker/*"
SEGMENT_BYTES = 600  # what a segment costs, about; their number goes up and down
SLOPE_MAX, SPREAD_MAX = 0.10, 0.15  # of the mean, over all hours and of each
FROM_HOUR = 1  # what was there before is used again without a trace, for days: begin early


class Memory:
    """Traces between `begin` and `end`; `samples` are bytes, segments taken off."""

    def __init__(self) -> None:
        self.samples: list[float] = []

    def begin(self) -> None:
        tracemalloc.start()

    def end(self) -> None:
        tracemalloc.stop()

    def sample(self, segments: int) -> None:
        gc.collect()
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, OURS)])
        ours = sum(trace.size for trace in taken.traces)
        self.samples.append(ours - segments * SEGMENT_BYTES)

    def rises(self) -> str | None:
        """What is wrong; None: it stays as it is."""
        return rising(self.samples)


def rising(samples: Sequence[float]) -> str | None:
    """What is wrong with one sample an hour; None: they stay the same."""
    count = len(samples)
    mean, middle = sum(samples) / count, (count - 1) / 2
    slope = sum((n - middle) * (one - mean) for n, one in enumerate(samples))
    slope /= sum((n - middle) ** 2 for n in range(count))
    told = " ".join(f"{one / 1024:.0f}" for one in samples)
    if slope * (count - 1) > SLOPE_MAX * mean:
        return f"memory goes up by {slope:.0f} bytes an hour; KiB: {told}"
    if max(samples) > (1 + SPREAD_MAX) * mean:
        return f"memory goes up and down; KiB: {told}"
    return None
