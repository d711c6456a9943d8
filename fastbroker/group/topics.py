"""What the coordinator asks about topics: whether they exist, and their two names."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Topics(NamedTuple):
    """Lookups into the newest metadata; None: there is no such topic."""

    topic_id: Callable[[str], bytes | None]
    topic_name: Callable[[bytes], str | None]
