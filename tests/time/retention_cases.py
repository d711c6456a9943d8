"""Logs that are grown and then retained: by Apache Kafka once, by our Log in every test run.

Ages are in minutes before now; all rolls and retentions are hours apart, seconds do not matter.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastbroker.records.builder import build_batch

MINUTE_MS = 60_000
LARGE = 600_000  # two of these do not fit a segment of the smallest size
NO_TIME = None  # records with the timestamp -1

EVERY_MINUTE = {"segment.ms": "60000"}
BY_SIZE = {"segment.bytes": "1048576"}
FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}
HOUR = {"retention.ms": "3600000"}


class Case(NamedTuple):
    """batches: age of each batch, one record. size: bytes of each record's value.

    configs: while it grows; then those of `after` are set, and records below `delete_to` deleted.
    retention.bytes in `after` may be "N batches", "N batches + 1", "N batches - 1".
    """

    name: str
    batches: list[int | None]
    after: Mapping[str, str] = {}
    configs: Mapping[str, str] = EVERY_MINUTE
    size: int = 10
    delete_to: int | None = None


COMPACT = {"cleanup.policy": "compact"}
# Kafka compacts what it may: with this lag it may nothing.
DIRTY = {"min.compaction.lag.ms": "999999999999"}
BOTH = DIRTY | {"cleanup.policy": "compact,delete"}
TINY_INDEX = {"index.interval.bytes": "0"}
CASES = (
    Case("by time", [180, 170, 100, 30, 5], HOUR),
    Case("exactly as old", [120, 61, 59, 1], HOUR),
    Case("the largest timestamp counts", [50, 180, 30], HOUR, {"segment.ms": "600000"}),
    Case("a fresh one keeps what is behind it", [30, 180, 170, 5], HOUR, BY_SIZE, LARGE),
    Case("all of them", [180, 170, 160], HOUR),
    Case("one segment", [180], HOUR),
    Case("an empty log", [], {"retention.ms": "0"}),
    Case("from the future", [-600, 180, 170], HOUR,
         BY_SIZE | {"message.timestamp.after.max.ms": "999999999999"}, LARGE),
    Case("without timestamps", [NO_TIME] * 3, HOUR, BY_SIZE, LARGE),
    Case("without timestamps, long ago", [NO_TIME] * 3, {"retention.ms": "1"}, BY_SIZE, LARGE),
    Case("some without timestamps", [NO_TIME, 180, NO_TIME], HOUR),
    Case("one without, then old ones", [NO_TIME, 180, 5], HOUR),
    Case("time 0", [180, 170], {"retention.ms": "0"}),
    Case("no limit", [180, 170, 5]),
    Case("by size", [5] * 5, {"retention.bytes": "2 batches"}, BY_SIZE, LARGE),
    Case("a byte more", [5] * 5, {"retention.bytes": "2 batches + 1"}, BY_SIZE, LARGE),
    Case("a byte less", [5] * 5, {"retention.bytes": "2 batches - 1"}, BY_SIZE, LARGE),
    Case("size 0", [5] * 3, {"retention.bytes": "0"}, BY_SIZE, LARGE),
    Case("larger than the log", [5] * 3, {"retention.bytes": "9 batches"}, BY_SIZE, LARGE),
    Case("size, then time", [180, 170, 160, 5, 4], HOUR | {"retention.bytes": "4 batches"},
         BY_SIZE, LARGE),
    Case("compacted only", [180, 170, 5], HOUR | {"retention.bytes": "0"},
         EVERY_MINUTE | COMPACT | DIRTY),
    Case("compacted and deleted", [180, 170, 5], HOUR, EVERY_MINUTE | BOTH),
    Case("compacted and deleted by size", [5] * 4, {"retention.bytes": "2 batches"},
         BY_SIZE | BOTH, LARGE),
    Case("deleted to inside", [9, 7, 5, 3], delete_to=1),
    Case("deleted to a segment", [9, 7, 5, 3], delete_to=2),
    Case("deleted to the end", [9, 7, 5, 3], delete_to=-1),
    Case("deleted to the end, one segment", [9], delete_to=-1),
    Case("deleted and old", [180, 170, 160, 5], HOUR, delete_to=1),
    Case("the log's time", [180, 170, 5], HOUR,
         EVERY_MINUTE | {"message.timestamp.type": "LogAppendTime"}),
    # Rolls.
    Case("first timestamps count for rolls", [100, 30, 99, 98, 20], {}, {"segment.ms": "3600000"}),
    Case("back in time does not roll", [5, 600, 4], {}, {"segment.ms": "300000"}),
    Case("index full", [9] * 8, {}, TINY_INDEX | {"segment.index.bytes": "32"}),
    Case("time index full", list(range(20, 8, -1)), {},
         TINY_INDEX | {"segment.index.bytes": "60", "segment.ms": "9999999999"}),
    Case("smallest index", [9, 8, 7], {}, TINY_INDEX | {"segment.index.bytes": "16"}),
    Case("compaction lag rolls", [100, 99, 95], {},
         COMPACT | {"max.compaction.lag.ms": "120000", "segment.ms": "9999999999"}),
    Case("compaction lag of a deleted one", [100, 99, 95], {},
         {"max.compaction.lag.ms": "120000", "segment.ms": "9999999999"}),
)  # fmt: skip


def batch_of(case: Case, number: int, now_ms: int) -> bytes:
    """The batch as a client sends it; of one size in a case."""
    age = case.batches[number]
    at = -1 if age is None else now_ms - age * MINUTE_MS
    return bytes(build_batch([(b"%08d" % number, b"v" * case.size, (), at)]))


def growing(case: Case) -> dict[str, str]:
    """Configs of the topic while it is written."""
    return FOREVER | dict(case.configs)


def retaining(case: Case) -> dict[str, str]:
    """Configs that are changed then."""
    out = dict(case.after)
    if "retention.bytes" in out:
        count, _, rest = out["retention.bytes"].partition(" batches")
        if rest or "batches" in out["retention.bytes"]:
            extra = int(rest.replace(" ", "") or 0)
            out["retention.bytes"] = str(int(count) * len(batch_of(case, 0, 10**12)) + extra)
    return out


def listing(names: list[str]) -> list[str]:
    """A log's segments and snapshots that do not wait for their removal. Kafka makes the indexes
    of an empty segment later than we do."""
    return sorted(name for name in names if name.endswith((".log", ".snapshot")))


def outcome(grown: list[str], left: list[str], start: int, end: int) -> dict[str, Any]:
    """What is compared."""
    return {
        "rolled": [int(name.split(".")[0]) for name in grown if name.endswith(".log")],
        "left": left,
        "start": start,
        "end": end,
    }
