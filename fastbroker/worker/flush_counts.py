"""How long flushes take, and what they make durable."""
from __future__ import annotations

from time import monotonic_ns

from fastbroker._c.meter import Histogram
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples


class FlushCounts:
    """Owned by the worker's loop; told by the Flusher."""

    def __init__(self) -> None:
        self._seconds = Histogram(c.LATENCY_NS)
        self._batches = Histogram([int(bound) for bound in c.SIZES])
        self._bytes = 0
        self._begun = 0

    def begun(self) -> None:
        """A round was handed to the thread."""
        self._begun = monotonic_ns()

    def ended(self) -> None:
        """The loop knows that it was run."""
        self._seconds.observe(monotonic_ns() - self._begun)

    def flushed(self, batches: int, size: int) -> None:
        """What the round has made durable."""
        self._batches.observe(batches)
        self._bytes += size

    def add(self, samples: Samples) -> None:
        """Add what was counted."""
        samples.histogram(c.FLUSH_SECONDS, self._seconds.counts(), self._seconds.total / 1e9)
        samples.histogram(c.FLUSH_BATCHES, self._batches.counts(), self._batches.total)
        samples.value(c.FLUSH_BYTES, self._bytes)
