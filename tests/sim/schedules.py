"""Running many schedules of a simulation, and telling which one broke an invariant."""
from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import pytest

COLLECT_EVERY = 500  # schedules; each leaves some cycles behind


class Broken(AssertionError):
    """An invariant that does not hold."""


class Schedule(Protocol):
    """One seed's run of a simulation."""

    def run(self) -> None:
        """Raises AssertionError, Broken when it is an invariant."""


def add_options(parser: pytest.Parser) -> None:
    """--seed and --schedules."""
    group = parser.getgroup("simulations")
    group.addoption("--seed", type=int, help="run only the schedule of this seed")
    group.addoption("--schedules", type=int, help="run so many instead of each test's default")


def seeds(config: pytest.Config, default: int) -> range:
    """The seeds that were asked for."""
    seed, count = config.getoption("--seed"), config.getoption("--schedules")
    if seed is not None:
        return range(seed, seed + 1)
    return range(default if count is None else count)


def run(make: Callable[[int], Schedule], seeds: Iterable[int]) -> None:
    """Run every schedule; an error names its seed."""
    with _quiet():
        for seed in seeds:
            try:
                make(seed).run()
            except AssertionError as error:
                error.add_note(f"replay it with --seed {seed}")
                raise
            if not seed % COLLECT_EVERY:
                gc.collect()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No logging, and no garbage collection between schedules."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(before)
