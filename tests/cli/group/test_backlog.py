"""What a group's partitions come to."""
from __future__ import annotations

import pytest

from fastbroker.cli.group.backlog import Limit, total
from fastbroker.group.backlog import NO_COMMIT, Bounds, Unread
from fastbroker.model import TopicPartition

T0 = TopicPartition("t", 0)


def test_a_groups_sum_has_the_worst_of_its_times() -> None:
    parts = [
        Unread(T0, 1, Bounds(0, 9, 9), records=8, behind_ms=50, deleted_in_ms=900),
        Unread(T0, 1, Bounds(0, 9, 9), records=2, behind_ms=70, lost=3, deleted_in_ms=40,
               is_estimate=True),
        Unread(T0, NO_COMMIT, Bounds(0, 9, 9)),
        Unread(T0, NO_COMMIT, Bounds(5, 5, 5)),
        Unread(T0, 1, problem="no leader"),
        Unread(T0, 1, records=0, behind_ms=0, problem="the topic does not exist any more"),
    ]  # fmt: skip
    sum_ = total(parts)
    assert (sum_.partitions, sum_.records, sum_.behind_ms, sum_.lost) == (6, 10, 70, 3)
    assert (sum_.deleted_in_ms, sum_.is_estimate) == (40, True)
    assert (sum_.uncommitted, sum_.unknown) == (1, 1)


@pytest.mark.parametrize(
    ("limit", "is_passed"),
    [
        (Limit(records=9, ms=None), True), (Limit(records=10, ms=None), False),
        (Limit(records=None, ms=69), True), (Limit(records=None, ms=70), False),
    ],
)  # fmt: skip
def test_a_limit_of_records_or_of_time(limit: Limit, is_passed: bool) -> None:
    part = Unread(T0, 1, Bounds(0, 11, 11), records=10, behind_ms=70)
    assert limit.is_passed(total([part])) is is_passed
    assert limit.is_passed(total([part._replace(lost=1)])), "lost records are always too many"


def test_a_limit_is_not_kept_where_it_cannot_be_known() -> None:
    unknown = total([Unread(T0, 1, problem="no leader")])
    assert Limit(records=5, ms=None).is_unclear(unknown)
    read = Unread(T0, 9, Bounds(0, 9, 9), records=0, behind_ms=0)
    untimed = total([Unread(T0, 1, Bounds(0, 9, 9), records=8), read])
    assert untimed.untimed == 1
    assert not Limit(records=9, ms=None).is_unclear(untimed)
    assert Limit(records=None, ms=9).is_unclear(untimed)
