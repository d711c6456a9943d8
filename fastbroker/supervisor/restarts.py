"""How often each process was started again, in memory that the supervisor shares with others."""
from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence

_COUNT = struct.Struct("q")


class Restarts:
    """Written by the supervisor, read by whoever was forked from it later."""

    def __init__(self, processes: Sequence[str]) -> None:
        self._places = {name: n * _COUNT.size for n, name in enumerate(processes)}
        self._memory = mmap.mmap(-1, max(len(processes) * _COUNT.size, 1))

    def add(self, process: str) -> None:
        """One more."""
        at = self._places[process]
        (count,) = _COUNT.unpack_from(self._memory, at)
        _COUNT.pack_into(self._memory, at, count + 1)

    def counts(self) -> dict[str, int]:
        """By process."""
        return {name: _COUNT.unpack_from(self._memory, at)[0] for name, at in self._places.items()}
