"""How a record is shown."""
from __future__ import annotations

import json

import click
import pytest

from fastbroker.cli.formats import as_json, by_pattern
from fastbroker.records.reader import Record

RECORD = Record(7, 1234, b"k", b"v", [("a", b"1"), ("b", None)])
EMPTY = Record(8, 1235, None, None, [])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("%v", b"v\n"),
        ("%t %p %o %T %k %v %h", b"topic 3 7 1234 k v a=1,b=null\n"),
        (r"100%% %k\t%v\n\\", b"100% k\tv\n\\\n"),
        ("é%v", "év\n".encode()),
        ("", b"\n"),
    ],
)
def test_a_pattern(pattern: str, expected: bytes) -> None:
    assert by_pattern(pattern, "topic")(3, RECORD) == expected


def test_nothing_is_null() -> None:
    assert by_pattern("%v", "t")(0, EMPTY) == b"null\n"
    assert by_pattern("%k,%v,%h", "t")(0, EMPTY) == b"null,null,\n"


@pytest.mark.parametrize("pattern", ["%x", "%", "%v%"])
def test_an_unknown_field_is_refused(pattern: str) -> None:
    with pytest.raises(click.UsageError, match="%v value"):
        by_pattern(pattern, "t")


def test_json_keeps_what_is_no_text() -> None:
    assert json.loads(as_json("t")(3, RECORD)) == {
        "topic": "t", "partition": 3, "offset": 7, "timestamp": 1234, "key": "k", "value": "v",
        "headers": [{"name": "a", "value": "1"}, {"name": "b", "value": None}],
    }  # fmt: skip
    binary = json.loads(as_json("t")(0, Record(0, 0, b"\xff", None, [])))
    assert (binary["key_base64"], binary["value"]) == ("/w==", None)
