"""Fields of our own: nobody sees them who does not ask, and who does not know them skips them."""
from __future__ import annotations

import pytest

from fastbroker._c.codec import decode, encode
from fastbroker.protocol.explanation import Deadline, Explanation
from fastbroker.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from fastbroker.protocol.messages.describe_groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from fastbroker.protocol.schema import Struct, plan
from tests.protocol.test_against_kafka_python import THEIRS

EXPLANATION = Explanation(summary="it waits", deadlines=[Deadline(what="rebalance", at_ms=5)])
CASES: list[tuple[Struct, int]] = [
    (DescribeGroupsRequest(groups=["g"], explain=True), 5),
    (DescribeGroupsRequest(groups=["g"], explain=True), 6),
    (
        DescribeGroupsResponse(
            groups=[DescribeGroupsResponse.DescribedGroup(group_id="g", explanation=EXPLANATION)]
        ),
        6,
    ),
    (ConsumerGroupDescribeRequest(group_ids=["g"], explain=True), 1),
    (
        ConsumerGroupDescribeResponse(
            groups=[
                ConsumerGroupDescribeResponse.DescribedGroup(
                    group_id="g", explanation=EXPLANATION
                )
            ]
        ),
        1,
    ),
]
CASE = pytest.mark.parametrize(
    ("message", "version"), CASES, ids=[f"{type(m).__name__} v{v}" for m, v in CASES]
)


@CASE
def test_it_comes_back(message: Struct, version: int) -> None:
    data = encode(plan(type(message), version), message)
    assert decode(plan(type(message), version), data) == (message, len(data))


def bare(message: Struct, version: int) -> Struct:
    """The message as it is without fields of our own."""
    data = encode(plan(type(message), version), message)
    copy, _ = decode(plan(type(message), version), data)
    if hasattr(copy, "explain"):
        copy.explain = False
    for group in () if hasattr(copy, "explain") else copy.groups:
        group.explanation = None
    return copy  # type: ignore[no-any-return]


def test_a_client_that_does_not_know_it_skips_it() -> None:
    skipped = 0
    for message, version in CASES:
        theirs = THEIRS.get(type(message).__name__)
        if theirs is None or version > theirs.max_version:
            continue
        decoded = theirs.decode(encode(plan(type(message), version), message), version=version)
        decoded._header = None  # their decoder leaves it unset without a header
        again = bytes(decoded.encode(version=version))
        assert again == encode(plan(type(message), version), bare(message, version))
        skipped += 1
    assert skipped >= 2


@CASE
def test_who_does_not_ask_gets_kafkas_bytes(message: Struct, version: int) -> None:
    plain = encode(plan(type(message), version), bare(message, version))
    marked = encode(plan(type(message), version), message)
    assert b"\xe2\xcc\x01" in marked, "the tag's number"
    assert b"\xe2\xcc\x01" not in plain


@pytest.mark.parametrize("version", range(5))
def test_older_versions_cannot_carry_it(version: int) -> None:
    request = DescribeGroupsRequest(groups=["g"], explain=True)
    data = encode(plan(DescribeGroupsRequest, version), request)
    back, _ = decode(plan(DescribeGroupsRequest, version), data)
    assert back.explain is False
