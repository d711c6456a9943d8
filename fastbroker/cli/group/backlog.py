"""What a group's partitions come to, and whether that is too far behind."""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastbroker.group.backlog import Unread


class Total(NamedTuple):
    """The sum of a group's partitions: records add up, times are those of the worst one.

    uncommitted: partitions with records and no committed offset; unknown: those not answered for;
    untimed: those with unread records of unknown age.
    """

    partitions: int
    records: int
    behind_ms: int | None
    lost: int
    deleted_in_ms: int | None
    is_estimate: bool
    uncommitted: int
    unknown: int
    untimed: int


def total(partitions: Iterable[Unread]) -> Total:
    """Add up."""
    parts = list(partitions)
    behind = [one.behind_ms for one in parts if one.behind_ms is not None]
    left = [(one.deleted_in_ms, one.is_estimate) for one in parts if one.deleted_in_ms is not None]
    soonest: tuple[int | None, bool] = min(left, default=(None, False))
    return Total(
        partitions=len(parts),
        records=sum(one.records or 0 for one in parts),
        behind_ms=max(behind, default=None),
        lost=sum(one.lost for one in parts),
        deleted_in_ms=soonest[0],
        is_estimate=soonest[1],
        uncommitted=sum(is_uncommitted(one) for one in parts),
        unknown=sum(one.problem is not None and one.records is None for one in parts),
        untimed=sum(bool(one.records) and one.behind_ms is None for one in parts),
    )


def is_uncommitted(one: Unread) -> bool:
    """Whether there are records, and no offset was ever committed."""
    bounds = one.bounds
    return one.committed < 0 and bounds is not None and bounds.end > bounds.start


class Limit(NamedTuple):
    """How far a group may be behind: records, or ms."""

    records: int | None
    ms: int | None

    def is_passed(self, sum_: Total) -> bool:
        """Whether the group is further behind, or lost records."""
        if sum_.lost:
            return True
        if self.records is not None:
            return sum_.records > self.records
        return self.ms is not None and sum_.behind_ms is not None and sum_.behind_ms > self.ms

    def is_unclear(self, sum_: Total) -> bool:
        """Whether it may be further behind than what could be found out."""
        return sum_.unknown > 0 or (self.ms is not None and sum_.untimed > 0)
