"""What the coordinator asks about topics: which there are, their two names, their partitions."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Topics(NamedTuple):
    """Lookups into the newest metadata; None, False or 0: there is no such thing."""

    topic_id: Callable[[str], bytes | None]
    topic_name: Callable[[bytes], str | None]
    has_partition: Callable[[str, int], bool]
    partition_count: Callable[[str], int] = lambda name: 0
    names: Callable[[], Iterable[str]] = lambda: ()
