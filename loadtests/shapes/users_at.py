"""The arithmetic of the shapes."""
from __future__ import annotations

import math

NAMES = ("ramp", "spike", "soak")
RAMP_STEPS = 10
QUIET = 0.2  # of the users, beside a spike
SPIKE = (0.4, 0.6)  # of the run
SOAK_RAMP = 0.05  # of the run


def users_at(shape: str, share: float, peak: int) -> int:
    """Users, of `peak`, once `share` of the run has passed, 0 <= share < 1. At least one."""
    if shape == "ramp":
        part = (int(share * RAMP_STEPS) + 1) / RAMP_STEPS
    elif shape == "spike":
        part = 1.0 if SPIKE[0] <= share < SPIKE[1] else QUIET
    elif shape == "soak":
        part = share / SOAK_RAMP
    else:
        raise ValueError(f"no shape is called {shape}")
    return max(1, math.ceil(peak * min(1.0, part)))
