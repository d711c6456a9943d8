"""Random lives of a consumer group."""
from __future__ import annotations

import pytest

from tests.group.consumer.lives import Simulation

SCHEDULES = 1_000


@pytest.mark.parametrize("first", range(0, SCHEDULES, 50))
def test_invariants_hold_in_random_lives(first: int) -> None:
    for seed in range(first, first + 50):
        try:
            Simulation(seed).run()
        except Exception as error:
            raise AssertionError(f"Simulation({seed}).run()") from error
