"""Memory between the supervisor and its processes, from both ends."""
from __future__ import annotations

import os

import pytest

from fastbroker.shared import SETTINGS_MAX, Counts, SharedMemory


def test_each_process_has_a_line_of_its_own() -> None:
    memory = SharedMemory(2)
    first, second = memory.line(0, 1.0), memory.line(1, 1.0)
    first.beat(connections=3, partitions=7)
    second.beat(connections=1, partitions=2)
    first.beat(connections=4, partitions=7)
    assert [memory.counts(0), memory.counts(1)] == [Counts(2, 4, 7), Counts(1, 1, 2)]


def test_of_a_process_that_has_ended_only_its_restarts_are_left() -> None:
    memory = SharedMemory(2)
    memory.line(1, 1.0).beat(connections=3, partitions=7)
    for _ in range(2):
        memory.clear(1)
        memory.restarted(1)
    assert [memory.counts(0), memory.counts(1)] == [Counts(), Counts(restarts=2)]


def test_settings_come_whole_or_not_at_all() -> None:
    memory = SharedMemory(1)
    line = memory.line(0, 0.0)
    assert line.settings() is None
    memory.write({"log.retention.ms": "1000"})
    memory.write({"log.retention.ms": "5"})
    assert line.settings() == {"log.retention.ms": "5"}
    with pytest.raises(ValueError, match="larger"):
        memory.write({"key": "x" * SETTINGS_MAX})
    assert line.settings() == {"log.retention.ms": "5"}


def test_what_a_process_says_is_read_by_another() -> None:
    memory = SharedMemory(2)
    pid = os.fork()
    if pid == 0:
        memory.line(1, 1.0).beat(connections=5, partitions=7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert [memory.counts(0), memory.counts(1)] == [Counts(), Counts(1, 5, 7)]


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
