"""A bench for every test that wants one."""
from __future__ import annotations

import pathlib

import pytest

from tests.handlers.bench import Bench


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    """Flushes and the controller's answers come at once."""
    return Bench(tmp_path)


@pytest.fixture
def slow(tmp_path: pathlib.Path) -> Bench:
    """Flushes and the controller's answers come when the test says so."""
    return Bench(tmp_path, instant=False)
