"""Where offsets are moved to: which offset a wish means in a partition. Pure."""
from __future__ import annotations

from typing import NamedTuple

from fastbroker.group.backlog import NO_COMMIT, Bounds
from fastbroker.model import TopicPartition


class Target(NamedTuple):
    """One wish: exactly one field is set.

    latest is the last stable offset: the records of a transaction that is open now are not skipped.
    """

    is_earliest: bool = False
    is_latest: bool = False
    offset: int | None = None
    shift: int | None = None
    time_ms: int | None = None


class Move(NamedTuple):
    """What would happen, or happened, to a partition; note: what was not as wished."""

    partition: TopicPartition
    before: int
    after: int
    note: str = ""


def move(
    target: Target, partition: TopicPartition, *, committed: int, bounds: Bounds,
    at_time: int | None = None,
) -> Move:  # fmt: skip
    """The move of one partition.

    at_time: the first offset of the target's time or later, -1 when there is none. Raises
    ValueError where the wish has no meaning.
    """
    note = ""
    if target.is_earliest:
        wanted = bounds.start
    elif target.is_latest:
        wanted = bounds.stable
    elif target.offset is not None:
        wanted = target.offset
    elif target.shift is not None:
        if committed == NO_COMMIT:
            raise ValueError(f"{partition} has no committed offset to shift; name an offset")
        wanted = committed + target.shift
    else:
        assert at_time is not None
        wanted = at_time
        if at_time < 0:
            wanted, note = bounds.stable, "no record is that young; set to the end"
    after = min(max(wanted, bounds.start), bounds.end)
    if after > wanted:
        note = f"{wanted} is before the start of the log"
    elif after < wanted:
        note = f"{wanted} is past the end of the log"
    return Move(partition, committed, after, note)


def skipped(one: Move, bounds: Bounds) -> int:
    """How many offsets are jumped over unread (positive) or read again (negative)."""
    if one.before == NO_COMMIT:
        return 0
    return one.after - max(one.before, bounds.start)
