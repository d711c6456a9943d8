"""Range assignment, and the bytes members exchange."""
from __future__ import annotations

import pytest

from fastbroker.cli.output import Failure
from fastbroker.cli.ranges import (
    assign,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)


def test_partitions_are_dealt_in_ranges_by_topic() -> None:
    assert assign(
        {"b": ["t", "u"], "a": ["t"], "c": ["u"]}, {"t": [0, 1, 2, 3, 4], "u": [0]}
    ) == {"a": {"t": [0, 1, 2]}, "b": {"t": [3, 4], "u": [0]}, "c": {}}


def test_a_topic_that_is_gone_has_nothing_to_deal() -> None:
    assert assign({"a": ["t"]}, {}) == {"a": {}}


def test_both_ways() -> None:
    assert decode_subscription(encode_subscription(["t", "u"])) == ["t", "u"]
    assert decode_assignment(encode_assignment({"t": [1, 2]})) == {"t": [1, 2]}
    assert decode_assignment(b"") == {}


def test_later_versions_of_other_programs_are_read() -> None:
    version_1 = b"\0\1" + encode_subscription(["t"])[2:] + b"\0\0\0\0"
    assert decode_subscription(version_1) == ["t"]


def test_what_is_no_subscription_is_a_failure() -> None:
    with pytest.raises(Failure, match="no subscription"):
        decode_subscription(b"\0\0\xff")
    with pytest.raises(Failure, match="no assignment"):
        decode_assignment(b"\0\0\xff")
