"""The check of test_kill9 finds each kind of damage when it is there."""
from __future__ import annotations

import pytest

from tests.crash.acked_log import Ack, check

ACKS = [Ack(0, value, value, 0.0) for value in range(3)]


def test_a_whole_log_passes() -> None:
    check(ACKS, [{0: 0, 1: 1, 2: 2}])
    check(ACKS, [{0: 0, 1: 1, 2: 2, 3: 3}])  # written, its acknowledgement lost: allowed


@pytest.mark.parametrize(
    ("read", "says"),
    [
        ({0: 0, 1: 1}, "read None"),
        ({0: 0, 1: 1, 3: 2}, "read None"),
        ({0: 0, 1: 1, 2: 2, 3: 2}, "more than once"),
        ({0: 1, 1: 0, 2: 2}, "out of order"),
    ],
    ids=["lost", "moved", "duplicate", "reordered"],
)
def test_damage_is_found(read: dict[int, int], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check(ACKS, [read])
