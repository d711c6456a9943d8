"""Tens of thousands of random schedules of classic groups; and planted bugs, which they find."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.pending_offsets import PendingOffsets
from fastbroker.group.shard import Shard
from tests.group.simulation import Simulation
from tests.sim import schedules

SCHEDULES = 50_000
BUG_SCHEDULES = 2_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(Simulation, schedules.seeds(pytestconfig, SCHEDULES))


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


def forgets_a_session(patch: pytest.MonkeyPatch) -> None:
    right = ClassicGroup.touch

    def touch(self: ClassicGroup, member: Any, timeout_ms: int | None = None) -> None:
        if self.state is not State.COMPLETING:
            right(self, member, timeout_ms)

    patch.setattr(ClassicGroup, "touch", touch)


def keeps_the_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClassicGroup, "_silent", lambda self, member: None)


def aborts_as_it_commits(patch: pytest.MonkeyPatch) -> None:
    right = PendingOffsets.end

    def end(self: PendingOffsets, producer_id: int, *, commit: bool) -> Any:
        return right(self, producer_id, commit=True)

    patch.setattr(PendingOffsets, "end", end)


def lets_the_later_marker_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PendingOffsets, "_overtake", lambda self, *where: None)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "plant",
    [
        assigns_twice,
        forgets_to_count,
        believes_an_old_write,
        acknowledges_early,
        forgets_a_session,
        keeps_the_gone,
        aborts_as_it_commits,
        lets_the_later_marker_count,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):  # Broken, or the code's own
        schedules.run(Simulation, range(BUG_SCHEDULES))
