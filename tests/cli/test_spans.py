"""Partitions of topics as text."""
from __future__ import annotations

import click
import pytest

from fastbroker.cli.spans import parse, spans, topics_text


def test_spans() -> None:
    assert spans([]) == ""
    assert spans([5, 0, 1, 2, 9, 10]) == "0-2,5,9-10"
    assert topics_text({"b": [1], "a": [0, 1], "none": []}) == "a:0-1 b:1"


def test_what_is_shown_can_be_given() -> None:
    assert parse("orders") == ("orders", None)
    assert parse("orders:0-2,5") == ("orders", [0, 1, 2, 5])


@pytest.mark.parametrize("text", ["", ":1", "a:", "a:x", "a:2-1", "a:1,,2", "a:-1", "a:0-9999999"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        parse(text)
