"""What happens to a run: a schedule of faults from a seed."""
from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ALONE = 0.8  # of the faults strike alone; the others come with the one before
PAUSE_S = (0.3, 2.0)
FREEZE_S = (10.0, 12.0)
DOWN_S = 2.0  # an instance stays down for this long at most


@dataclass(frozen=True)
class Fault:
    """One fault: `wait_s` after the one before has been recovered from, or has struck."""

    kind: str  # kill, zombie, replaced zombie, or a target of the broker's
    instance: int
    wait_s: float
    lasts_s: float
    alone: bool


def schedule(
    chance: random.Random, count: int, instances: int, targets: Mapping[str, int]
) -> Iterator[Fault]:
    """`count` faults; each kind comes once before any comes twice. targets: kinds to weights."""
    weights = {"kill": 6, "zombie": 1, "replaced zombie": 1, **targets}
    first = list(weights)
    chance.shuffle(first)
    for number in range(count):
        if number < len(first):
            kind = first[number]
        else:
            kind = chance.choices(list(weights), list(weights.values()))[0]
        lasts = chance.uniform(*FREEZE_S) if "zombie" in kind else chance.uniform(0, DOWN_S)
        yield Fault(
            kind, chance.randrange(instances), chance.uniform(*PAUSE_S), lasts,
            alone=number == 0 or chance.random() < ALONE,
        )  # fmt: skip
