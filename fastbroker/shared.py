"""Memory that the supervisor shares with the processes it starts.

    page := line*, one a process; then the settings
    line := uint64 beats, connections, partitions          written by that process alone
            uint64 restarts                                written by the supervisor alone
    settings := uint64 generation, length, JSON            written by the supervisor alone;
                generation: odd while it writes

Anonymous, and made before anything is forked. Nothing here waits for anybody.
"""
from __future__ import annotations

import json
import mmap
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from typing import NamedTuple

CELLS = 4  # of a line
RESTARTS = 3  # which cell
CELL_BYTES = 8
SETTINGS_MAX = 256 * 1024


class Counts(NamedTuple):
    """What one process has said of itself. beats: turns of its timer, 0: none yet. restarts: how
    often the supervisor has started it again."""

    beats: int = 0
    connections: int = 0
    partitions: int = 0
    restarts: int = 0


class SharedMemory:
    """For `processes` of them. Owned by the supervisor."""

    def __init__(self, processes: int) -> None:
        self._memory = mmap.mmap(-1, processes * CELLS * CELL_BYTES + 2 * CELL_BYTES + SETTINGS_MAX)
        self._cells = memoryview(self._memory)[: processes * CELLS * CELL_BYTES].cast("Q")
        self._settings = memoryview(self._memory)[processes * CELLS * CELL_BYTES :]

    def line(self, index: int, beat_every_s: float) -> Line:
        """The line of process `index`, for itself. beat_every_s: 0: nobody looks at its beats."""
        cells = self._cells[index * CELLS : (index + 1) * CELLS]
        return Line(cells, self._settings, beat_every_s)

    def counts(self, index: int) -> Counts:
        """What process `index` has said last."""
        return Counts(*self._cells[index * CELLS : (index + 1) * CELLS])

    def clear(self, index: int) -> None:
        """Process `index` has ended: what it has said counts no more."""
        for cell in range(index * CELLS, index * CELLS + RESTARTS):
            self._cells[cell] = 0

    def restarted(self, index: int) -> None:
        """Process `index` is started once more."""
        self._cells[index * CELLS + RESTARTS] += 1

    def write(self, settings: Mapping[str, str]) -> None:
        """Leave `settings` for every process. Raises ValueError when they are too large."""
        text = json.dumps(dict(settings)).encode()
        if len(text) > SETTINGS_MAX:
            raise ValueError(f"the settings are larger than {SETTINGS_MAX} bytes")
        head = self._settings[: 2 * CELL_BYTES].cast("Q")
        head[0] += 1
        self._settings[2 * CELL_BYTES : 2 * CELL_BYTES + len(text)] = text
        head[1] = len(text)
        head[0] += 1


class Line:
    """One process's part of the memory. Owned by that process."""

    def __init__(self, cells: memoryview, settings: memoryview, beat_every_s: float) -> None:
        self._cells, self._settings, self.beat_every_s = cells, settings, beat_every_s

    def beat(self, *, connections: int, partitions: int) -> None:
        self._cells[1], self._cells[2] = connections, partitions
        self._cells[0] += 1

    def settings(self) -> dict[str, str] | None:
        """What the supervisor has left; None: nothing yet, or it is writing, and a signal follows.
        """
        head = self._settings[: 2 * CELL_BYTES].cast("Q")
        generation, length = head
        if not generation or generation % 2:
            return None
        text = bytes(self._settings[2 * CELL_BYTES : 2 * CELL_BYTES + length])
        if head[0] != generation:
            return None
        found: dict[str, str] = json.loads(text)
        return found

    def keep_beating(
        self, loop: AbstractEventLoop, count: Callable[[], tuple[int, int]]
    ) -> None:
        """Beat on `loop` for as long as it turns, if anybody looks. count(): connections,
        partitions."""
        if self.beat_every_s > 0:
            connections, partitions = count()
            self.beat(connections=connections, partitions=partitions)
            loop.call_later(self.beat_every_s, self.keep_beating, loop, count)
