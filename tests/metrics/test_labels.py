"""Label pairs as text."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.metrics.labels import OTHER, label, labels
from tests.metrics.text import labels_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("orders", 'topic="orders"'),
        ('a"b', 'topic="a\\"b"'),
        ("a\\nb", 'topic="a\\\\nb"'),
        ("a\nb", 'topic="a\\nb"'),
        ("", 'topic=""'),
        ("ü", 'topic="ü"'),
    ],
)
def test_a_pair_is_escaped(value: str, text: str) -> None:
    assert label("topic", value) == text.encode()


@given(st.text())
def test_any_value_is_read_back_from_one_line(value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    text = labels(one=value, two=3).decode()
    assert "\n" not in text
    assert labels_of(text) == {"one": value, "two": "3"}


def test_no_topic_is_called_as_the_others_are() -> None:
    assert set("()") & set(OTHER), "Kafka's topics have letters, digits and ._- only"
