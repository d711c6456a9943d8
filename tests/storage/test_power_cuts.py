"""Thousands of random power cuts on a simulated disk; and planted bugs, which they find."""
from __future__ import annotations

import pytest

from tests.sim import schedules
from tests.storage.power_cuts import Schedule

SCHEDULES = 1_000


@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(Schedule, schedules.seeds(pytestconfig, SCHEDULES))
