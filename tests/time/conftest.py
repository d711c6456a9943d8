"""A directory in memory, and an ear for what the broker says is wrong."""
from __future__ import annotations

import logging
import os
import pathlib
import tempfile
from collections.abc import Iterator

import pytest

IN_MEMORY = "/dev/shm"  # renames and removals on a disk are what would take time


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not os.access(IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as path:
        yield pathlib.Path(path)


class Errors(logging.Handler):
    """What the broker says is wrong; a test's own handlers would keep all that it says."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def errors() -> Iterator[Errors]:
    ours, handler = logging.getLogger("fastbroker"), Errors()
    ours.addHandler(handler)
    ours.propagate = False
    yield handler
    ours.propagate = True
    ours.removeHandler(handler)
