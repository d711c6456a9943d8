"""Tens of thousands of random schedules of consumer groups; and planted bugs, which they find."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastbroker.group.consumer import change, conversion, heartbeat, reconcile, update
from fastbroker.group.consumer.change import Change
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import Current
from fastbroker.group.consumer.records import Epoch
from tests.group.consumer.simulation import MixedSimulation, Simulation
from tests.sim import schedules

SCHEDULES, MIXED_SCHEDULES = 12_000, 8_000
BUG_SCHEDULES = 2_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(Simulation, schedules.seeds(pytestconfig, SCHEDULES))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_schedules_with_both_protocols(pytestconfig: pytest.Config) -> None:
    schedules.run(MixedSimulation, schedules.seeds(pytestconfig, MIXED_SCHEDULES))


def forgets_a_revocation(patch: pytest.MonkeyPatch) -> None:
    """A partition is another's as soon as its owner has been told to let go of it."""
    patch.setattr(reconcile, "_owns_any", lambda owned, partitions: False)


def takes_what_is_not_free(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ConsumerGroup, "is_free", lambda self, topic, number: True)


def gives_the_same_epoch_again(patch: pytest.MonkeyPatch) -> None:
    right = update.raise_epoch

    def raise_epoch(change: Change, metadata_hash: int, why: str) -> None:
        right(change, metadata_hash, why)
        if change.group.epoch == 3:
            change.epoch(Epoch(1, metadata_hash))

    patch.setattr(update, "raise_epoch", raise_epoch)


def keeps_the_silent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ConsumerGroup, "_silent", lambda self, member: None)


def waits_for_ever_for_a_revocation(patch: pytest.MonkeyPatch) -> None:
    """Whoever does not let go, and is silent for that long, is not removed, either."""
    patch.setattr(ConsumerGroup, "_late", lambda self, member, why: None)


def answers_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    right = Change.answer

    def answer(self: Change, response: Any, failed: Any) -> Any:
        right(self, response, failed)
        return response

    patch.setattr(Change, "answer", answer)


def undoes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(change, "_undo", lambda steps: None)


def forgets_what_a_member_has(patch: pytest.MonkeyPatch) -> None:
    """After a reload everyone owns nothing."""
    right = ConsumerGroup.begin

    def begin(self: ConsumerGroup) -> None:
        right(self)
        for member in list(self.members.values()):
            self.set_current(member.member_id, member.now._replace(assigned={}))

    patch.setattr(ConsumerGroup, "begin", begin)


def takes_any_epoch(patch: pytest.MonkeyPatch) -> None:
    """A member that missed that it was removed and came back goes on with what it had."""
    patch.setattr(heartbeat, "_check_epoch", lambda member, request: None)


def makes_no_assignment_after_a_death(patch: pytest.MonkeyPatch) -> None:
    def removed(env: Any, change: Change, member_ids: Any, why: str) -> None:
        for member_id in member_ids:
            change.group.members[member_id].cancel()
            change.remove(member_id)

    patch.setattr(update, "removed", removed)


def moves_on_by_itself(patch: pytest.MonkeyPatch) -> None:
    """A member's epoch is the target's before it has let go."""
    right = update.reconciled

    def reconciled(current: Current, **how: Any) -> Current:
        after = right(current, **how)
        return after._replace(revoking={})

    patch.setattr(update, "reconciled", reconciled)


PLANTED = [
    forgets_a_revocation,
    takes_what_is_not_free,
    gives_the_same_epoch_again,
    keeps_the_silent,
    waits_for_ever_for_a_revocation,
    answers_before_it_is_written,
    undoes_nothing,
    forgets_what_a_member_has,
    takes_any_epoch,
    makes_no_assignment_after_a_death,
    moves_on_by_itself,
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):  # Broken, or the code's own
        schedules.run(Simulation, range(BUG_SCHEDULES))


def forgets_what_classic_members_own(patch: pytest.MonkeyPatch) -> None:
    right = conversion._members_of

    def members_of(env: Any, old: Any) -> Any:
        found = right(env, old)
        return found and {
            one: (said, current._replace(assigned={})) for one, (said, current) in found.items()
        }

    patch.setattr(conversion, "_members_of", members_of)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plant", [forgets_what_classic_members_own, takes_what_is_not_free])
def test_a_planted_bug_of_conversion_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        schedules.run(MixedSimulation, range(BUG_SCHEDULES))
