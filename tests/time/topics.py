"""The topics of the simulated day: how each is kept, and how busy it is."""
from __future__ import annotations

from typing import NamedTuple

from tests.time.model import Policy
from tests.time.world import HOUR, MINUTE

MIB = 1 << 20
HANGING = 950  # a producer whose transaction nobody ends for hours
IDEMPOTENT = 700
TRANSACTIONAL = range(900, 904)
PASSING = 10_000  # and above: producers that write once


class Topic(NamedTuple):
    """partitions, and a chance in a minute that each is written; value_bytes: largest value.

    keys: how many there are. in_transactions: it is written by these alone.
    """

    policy: Policy
    partitions: int = 1
    busy: float = 0.3
    value_bytes: int = 40
    keys: int = 50
    in_transactions: bool = False


TOPICS = {
    "by-time": Topic(Policy(retention_ms=2 * HOUR, segment_ms=20 * MINUTE), 2),
    "by-size": Topic(
        Policy(retention_bytes=3_000_000, segment_bytes=MIB, delete_delay_ms=11 * MINUTE),
        1, 0.3, 400_000,
    ),
    "both": Topic(
        Policy(retention_ms=3 * HOUR, retention_bytes=2_500_000, segment_bytes=MIB,
               segment_ms=40 * MINUTE),
        1, 0.2, 300_000,
    ),
    "log-time": Topic(
        Policy(append_time=True, retention_ms=90 * MINUTE, segment_ms=15 * MINUTE)
    ),
    "timeless": Topic(Policy(retention_ms=2 * HOUR, segment_bytes=MIB), 1, 0.1, 400_000),
    "compact": Topic(
        Policy("compact", segment_ms=HOUR, max_lag_ms=30 * MINUTE, tombstone_ms=40 * MINUTE),
        1, 0.3, keys=200,
    ),
    "compact-delete": Topic(
        Policy("compact,delete", retention_ms=3 * HOUR, segment_ms=30 * MINUTE,
               tombstone_ms=20 * MINUTE, min_lag_ms=25 * MINUTE, dirty_ratio=0.2),
        1, 0.3, keys=30,
    ),
    "compact-lazy": Topic(
        Policy("compact", segment_ms=6 * MINUTE, dirty_ratio=0.6, delete_delay_ms=11 * MINUTE),
        2, 0.3,
    ),
    "compact-large": Topic(
        Policy("compact", segment_ms=20 * MINUTE, segment_bytes=MIB, dirty_ratio=0.3,
               tombstone_ms=0),
        1, 0.1, 300_000, keys=10,
    ),
    "compact-transactions": Topic(
        Policy("compact", segment_ms=15 * MINUTE, tombstone_ms=30 * MINUTE, dirty_ratio=0.2,
               max_lag_ms=2 * HOUR),
        1, 0.0, in_transactions=True,
    ),
    "recreated": Topic(Policy(retention_ms=HOUR, segment_ms=10 * MINUTE), 3),
    "trimmed": Topic(Policy(segment_ms=30 * MINUTE)),
    "transactions": Topic(
        Policy(retention_ms=2 * HOUR, segment_ms=15 * MINUTE), 2, 0.0, in_transactions=True
    ),
    "idle": Topic(Policy(retention_ms=5 * HOUR), 1, 0.0),
    "kept": Topic(Policy(), 1, 0.0),
}  # fmt: skip
# Made each hour under a new name, written once, and deleted an hour later.
ONCE = Topic(Policy("compact,delete", retention_ms=2 * HOUR), 1, 0.0)
REMADE_HOURS = {"recreated": (1, 4), "compact": (6, 9)}  # how long each lives
