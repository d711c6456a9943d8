"""Memory between the supervisor and its processes, from both ends."""
from __future__ import annotations

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
