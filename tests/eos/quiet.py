"""After the end: no transaction hangs."""
from __future__ import annotations

import time
from collections.abc import Sequence

from tests.eos.raw import READ_COMMITTED, READ_UNCOMMITTED, Raw


def no_transaction_hangs(raw: Raw, topics: Sequence[str], timeout_s: float) -> float:
    """Wait until all of `topics` is stable and no coordinator knows of an open transaction.

    Returns how long that took. AssertionError after timeout_s, the transactions' timeout, and ten
    seconds more.
    """
    begun = time.monotonic()
    while True:
        ends = {topic: raw.end_offsets(topic, READ_UNCOMMITTED) for topic in topics}
        stable = {topic: raw.end_offsets(topic, READ_COMMITTED) for topic in topics}
        open_ones = raw.ongoing()
        took = time.monotonic() - begun
        if stable == ends and not open_ones:
            return took
        what = f"{took:.0f} s after the end: stable to {stable} of {ends}, open: {open_ones}"
        assert took < timeout_s + 10, what
        time.sleep(0.2)
