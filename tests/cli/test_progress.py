"""How far a long command is."""
from __future__ import annotations

import pytest

from fastbroker.cli import progress as module
from fastbroker.cli.progress import Progress


class Clock:
    """time.monotonic() of the module under test."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def shown(capsys: pytest.CaptureFixture[str], clock: Clock) -> str:
    with Progress("groups", 2000) as progress:
        for _ in range(1500):
            clock.now += 0.001
            progress.step()
    return capsys.readouterr().err


def test_nothing_is_shown_where_nobody_looks(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, clock) == ""


def test_on_a_terminal_it_comes_after_a_second_and_goes_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    said = shown(capsys, clock).split("\r")
    assert said[1].startswith("groups: 1,0")
    assert said[1].endswith(" of 2,000")
    assert len(said[1:-2]) in (2, 3, 4)  # a few, not one for each of them
    assert said[-2:] == [" " * len(said[1]), ""]


def test_what_is_quick_shows_nothing(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Progress("groups") as progress:
        progress.step(5)
    assert capsys.readouterr().err == ""
