"""Thousands of random schedules; and planted bugs, which they find."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.shard import Shard
from tests.group.simulation import Broken, Simulation

SCHEDULES = 2_500
BUG_SCHEDULES = 400


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("tests.group").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("tests.group").setLevel(logging.NOTSET)


def run(seeds: range) -> None:
    for seed in seeds:
        try:
            Simulation(seed).run()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def test_random_schedules() -> None:
    run(range(SCHEDULES))


def assigns_twice(patch: pytest.MonkeyPatch) -> None:
    right = ClassicGroup.assign

    def assign(self: ClassicGroup, assignments: dict[str, bytes]) -> None:
        self.storing = False
        right(self, assignments)

    patch.setattr(ClassicGroup, "assign", assign)


def forgets_to_count(patch: pytest.MonkeyPatch) -> None:
    right = ClassicGroup.complete_join

    def complete_join(self: ClassicGroup) -> None:
        if self.state is State.PREPARING and self.generation_id == 2:
            self.generation_id -= 1
        right(self)

    patch.setattr(ClassicGroup, "complete_join", complete_join)


def believes_an_old_write(patch: pytest.MonkeyPatch) -> None:
    right = ClassicGroup._stored

    def stored(self: ClassicGroup, write: Any, generation: int, parts: dict[str, bytes]) -> None:
        right(self, write, self.generation_id, parts)

    patch.setattr(ClassicGroup, "_stored", stored)


def acknowledges_early(patch: pytest.MonkeyPatch) -> None:
    right = Shard.commit

    def commit(self: Shard, group_id: str, commits: Any) -> Any:
        for at, committed in commits:
            self.put_offset(group_id, at, committed)
        right(self, group_id, commits)
        return self.delete_offsets([])

    patch.setattr(Shard, "commit", commit)


@pytest.mark.parametrize(
    "plant", [assigns_twice, forgets_to_count, believes_an_old_write, acknowledges_early]
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Broken):
        run(range(BUG_SCHEDULES))
