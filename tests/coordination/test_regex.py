"""Regular expressions of clients."""
from __future__ import annotations

import pytest

from fastbroker.coordination.regex import matcher
from fastbroker.errors import InvalidRegularExpression


def test_the_whole_text_has_to_match() -> None:
    matches = matcher("orders-[0-9]+", what="a regex")
    assert matches("orders-17")
    assert not matches("orders-17x")
    assert not matches("my-orders-17")


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("(", "missing"),
        (r"(a)\1", "invalid escape"),  # what takes more than linear time is no part of RE2
        ("(?=a)", "invalid perl"),
        ("(x{999})" * 400, "too large"),
    ],
)
def test_what_is_refused_is_named_with_its_cause(regex: str, said: str) -> None:
    with pytest.raises(InvalidRegularExpression) as refused:
        matcher(regex, what="the pattern")
    assert refused.value.message.startswith("the pattern ")
    assert said in refused.value.message
