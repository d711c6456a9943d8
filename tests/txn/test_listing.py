"""DescribeTransactions and ListTransactions."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from tests.txn.bench import Bench


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.init("empty")
    made.end("committed", made.ongoing("committed"))
    made.timers.advance(1000)
    made.ongoing("open", ("orders", 1), ("orders", 0), ("clicks", 2))
    made.brokers.instant = False
    made.end("going", made.ongoing("going", ("orders", 0)), commit=False)
    made.timers.advance(500)
    return made


def test_description(bench: Bench) -> None:
    said = bench.describe("open")
    assert said.error_code == 0
    assert (said.transaction_state, said.transaction_timeout_ms) == ("Ongoing", 60_000)
    assert said.transaction_start_time_ms == bench.timers.now_ms() - 500
    assert (said.producer_id, said.producer_epoch) == (1003, 0)
    assert [(t.topic, t.partitions) for t in said.topics] == [("clicks", [2]), ("orders", [0, 1])]
    assert bench.describe("going").transaction_state == "PrepareAbort"
    empty = bench.describe("empty")
    assert (empty.transaction_state, empty.transaction_start_time_ms) == ("Empty", -1)
    assert empty.topics == []
    assert bench.describe("none").error_code == errors.TransactionalIdNotFound.code
    assert bench.describe("").error_code == errors.InvalidRequest.code


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"empty", "committed", "open", "going"}),
        ({"states": ("Ongoing",)}, {"open"}),
        ({"states": ("Ongoing", "Empty")}, {"open", "empty"}),
        ({"states": ("ongoing",)}, set()),
        ({"states": ("Ongoing", "Odd")}, {"open"}),
        ({"states": ("Dead",)}, set()),
        ({"producers": (1003, 1004, 5)}, {"open", "going"}),
        ({"producers": (5,)}, set()),
        ({"duration": 499}, {"empty", "committed", "open", "going"}),
        ({"duration": 500}, {"empty", "committed"}),
        ({"duration": 1_600}, {"empty"}),
        ({"pattern": ""}, {"empty", "committed", "open", "going"}),
        ({"pattern": "o"}, set()),
        ({"pattern": ".*o.*"}, {"committed", "open", "going"}),
        ({"pattern": "open|going"}, {"open", "going"}),
        ({"pattern": ".*g", "states": ("PrepareAbort",), "producers": (1004,)}, {"going"}),
        ({"pattern": ".*g", "states": ("Ongoing",)}, set()),
    ],
)
def test_filters(bench: Bench, filters: dict[str, Any], names: set[str]) -> None:
    said = bench.list(**filters)
    assert said.error_code == 0
    assert {one.transactional_id for one in said.transaction_states} == names


def test_a_list_says_what_they_are(bench: Bench) -> None:
    said = bench.list(states=("Ongoing", "Odd", "Dead", "PrepareEpochFence"))
    assert said.unknown_state_filters == ["Odd"]
    (one,) = said.transaction_states
    assert (one.transactional_id, one.producer_id) == ("open", 1003)
    assert one.transaction_state == "Ongoing"


@pytest.mark.parametrize("pattern", ["(", "a{", "(?=a)", "[", "a**"])
def test_patterns_that_are_none(bench: Bench, pattern: str) -> None:
    said = bench.list(pattern=pattern)
    if pattern == "a{":
        assert said.error_code == 0  # RE2 takes the brace for itself
    else:
        assert said.error_code == errors.InvalidRegularExpression.code
        assert not said.transaction_states
