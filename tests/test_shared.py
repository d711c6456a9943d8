"""Memory between the supervisor and its processes."""
from __future__ import annotations

import os

import pytest

from fastbroker.shared import SETTINGS_MAX, Counts, SharedMemory


def test_what_a_process_says_is_read_by_another() -> None:
    memory = SharedMemory(2)
    pid = os.fork()
    if pid == 0:
        memory.line(1, 1.0).beat(connections=5, partitions=7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert memory.counts(0) == Counts()
    assert memory.counts(1) == Counts(1, 5, 7)
    memory.clear(1)
    assert memory.counts(1) == Counts()


def test_settings_reach_every_process() -> None:
    memory = SharedMemory(1)
    line = memory.line(0, 0)
    assert line.settings() is None
    memory.write({"a": "1", "b": "zwölf"})
    assert line.settings() == {"a": "1", "b": "zwölf"}
    memory.write({})
    assert line.settings() == {}
    with pytest.raises(ValueError, match="larger"):
        memory.write({"a": "x" * SETTINGS_MAX})
    assert line.settings() == {}


class Loop:
    def __init__(self) -> None:
        self.calls: list[float] = []

    def call_later(self, delay_s: float, *_: object) -> None:
        self.calls.append(delay_s)


@pytest.mark.parametrize(("every_s", "beats"), [(0.0, 0), (0.5, 1)])
def test_nobody_beats_for_nobody(every_s: float, beats: int) -> None:
    memory, loop = SharedMemory(1), Loop()
    memory.line(0, every_s).keep_beating(loop, lambda: (1, 2))  # type: ignore[arg-type]
    assert memory.counts(0).beats == beats
    assert loop.calls == [every_s] * beats
