"""The history that a client in Python writes (tests/history says what the lines mean)."""
from __future__ import annotations

import json
import os
import pathlib
import time
from typing import Any


def now_ms() -> int:
    """The machine's clock, rounded down."""
    return time.time_ns() // 1_000_000


class Journal:
    """Appends events of `process` to a file, each with one write, so that kill -9 loses none."""

    def __init__(self, path: pathlib.Path | str, process: str) -> None:
        self.process = process
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._numbers = 0

    def note(self, event: str, **what: Any) -> None:
        line = {"at": now_ms(), "process": self.process, "event": event, **what}
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def number(self) -> int:
        """An id for what will be acknowledged."""
        self._numbers += 1
        return self._numbers

    def close(self) -> None:
        os.close(self._file)
