"""Lines from a pipe, whatever the pieces they come in."""
from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from fastbroker.cli import lines as module
from fastbroker.cli.lines import lines
from fastbroker.cli.output import Failure


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\n\nc", [b"a", b"b", b"", b"c"]),
        (b"\n\n", [b"", b""]),
        (b"\r\n", [b""]),
    ],
)
def test_lines_end_with_newlines(
    pipe: tuple[int, int], data: bytes, expected: list[bytes]
) -> None:
    os.write(pipe[1], data)
    os.close(pipe[1])
    assert [line for line in lines(pipe[0]) if line is not None] == expected


def test_pieces_are_joined(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_BYTES", 3)
    os.write(pipe[1], b"abcdefgh\nij\nk")
    os.close(pipe[1])
    assert [line for line in lines(pipe[0]) if line is not None] == [b"abcdefgh", b"ij", b"k"]


def test_a_pause_is_told(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\nb")
    found = lines(pipe[0])
    assert next(found) == b"a"
    assert next(found) is None
    threading.Timer(0.05, os.write, (pipe[1], b"c\n")).start()
    assert next(found) == b"bc"
    os.close(pipe[1])


def test_a_line_without_end_is_refused(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINE_MAX_BYTES", 10)
    monkeypatch.setattr(module, "READ_BYTES", 4)
    os.write(pipe[1], b"ok\n" + b"x" * 12)
    with pytest.raises(Failure, match="line 2 is longer than 10 bytes"):
        list(lines(pipe[0]))
    os.close(pipe[1])
