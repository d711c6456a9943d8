"""A family of series: one name, one type, one meaning."""
from __future__ import annotations

from typing import NamedTuple

COUNTER, GAUGE, HISTOGRAM, UNTYPED = "counter", "gauge", "histogram", "untyped"


class Family(NamedTuple):
    """labels: in the order they are written. buckets: upper bounds of a histogram, without +Inf.

    A family whose first label is `process` is about the process that tells it; the gateway adds
    that label.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def is_of_process(self) -> bool:
        return self.labels[:1] == ("process",)
