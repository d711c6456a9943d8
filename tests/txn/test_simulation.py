"""Tens of thousands of random schedules of transactions; and planted bugs, which they find."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fastbroker.txn import addition, coordinator, end
from fastbroker.txn.entry import Entry
from fastbroker.txn.markers import Markers
from fastbroker.txn.shard import Shard
from fastbroker.txn.state import State
from fastbroker.txn.transaction import NO_PRODUCER_ID, Transaction
from tests.sim import schedules
from tests.txn.simulation import Simulation

SCHEDULES = 30_000
BUG_SCHEDULES = 3_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(Simulation, schedules.seeds(pytestconfig, SCHEDULES))


def fences_without_an_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Transaction, "fenced", lambda self: self)


def gives_an_epoch_twice(patch: pytest.MonkeyPatch) -> None:
    right = Transaction.initialized

    def initialized(self: Transaction, **how: Any) -> Transaction:
        return replace(right(self, **how), producer_epoch=self.producer_epoch)

    patch.setattr(Transaction, "initialized", initialized)


def ends_without_an_epoch(patch: pytest.MonkeyPatch) -> None:
    right = Transaction.prepared

    def prepared(self: Transaction, state: State, **how: Any) -> Transaction:
        return replace(right(self, state, **how), producer_epoch=self.producer_epoch)

    patch.setattr(Transaction, "prepared", prepared)


def decides_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    right = Shard.write

    def write(self: Shard, entry: Entry, following: Transaction) -> Any:
        done = right(self, entry, following)
        if following.state.is_prepared and not done.done:
            self.markers.send(
                self, Entry(entry.transactional_id, following), following, lambda: None
            )
        return done

    def send(self: Markers, owner: Any, entry: Entry, prepared: Any, marked: Any) -> None:
        entry.unmarked = set(prepared.partitions)
        right_send(self, owner, entry, prepared, marked)

    right_send = Markers.send
    patch.setattr(Markers, "send", send)
    patch.setattr(Shard, "write", write)


def decides_twice(patch: pytest.MonkeyPatch) -> None:
    """A reload aborts what it finds decided."""
    right = Shard.begin

    def begin(self: Shard) -> None:
        for entry in self.entries.values():
            kept = entry.kept
            if kept is not None and kept.state is State.PREPARE_COMMIT:
                entry.kept = replace(kept, state=State.PREPARE_ABORT)
        right(self)

    patch.setattr(Shard, "begin", begin)


def forgets_a_partition(patch: pytest.MonkeyPatch) -> None:
    right = Markers.send

    def send(self: Markers, owner: Any, entry: Entry, prepared: Any, marked: Any) -> None:
        if len(entry.unmarked) > 1:
            entry.unmarked = set(sorted(entry.unmarked)[1:])
        right(self, owner, entry, prepared, marked)

    patch.setattr(Markers, "send", send)


def waits_for_no_marker(patch: pytest.MonkeyPatch) -> None:
    right = Markers.send

    def send(self: Markers, owner: Any, entry: Entry, prepared: Any, marked: Any) -> None:
        right(self, owner, entry, prepared, lambda: None)
        marked()

    patch.setattr(Markers, "send", send)


def sends_no_markers_after_a_reload(patch: pytest.MonkeyPatch) -> None:
    def begin(self: Shard) -> None:
        self.loaded = True

    patch.setattr(Shard, "begin", begin)


def gives_up_a_lost_marker(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Markers, "_try_later", lambda self, decision, partition: None)


def never_times_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shard, "abort_timed_out", lambda self, now_ms: 0)


def asks_no_owner(patch: pytest.MonkeyPatch) -> None:
    for module in end, coordinator, addition:
        patch.setattr(module, "check_owner", lambda *of: None)
    patch.setattr(end, "check_epoch", lambda *of: None)


def lets_a_transition_overtake(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Entry, "check_settled", lambda self: setattr(self, "pending", None))


def adds_while_it_completes(patch: pytest.MonkeyPatch) -> None:
    """A record of the next transaction comes before the marker of this one."""
    right = Transaction.added

    def added(self: Transaction, partitions: Any, **how: Any) -> Transaction:
        if self.state.is_prepared:
            return self
        return right(self, partitions, **how)

    patch.setattr(Transaction, "added", added)
    patch.setattr(addition, "check", lambda *of: None)


def reuses_the_last_producer_id(patch: pytest.MonkeyPatch) -> None:
    right = Transaction.completed

    def completed(self: Transaction, now_ms: int) -> Transaction:
        following = right(self, now_ms)
        if self.next_producer_id != NO_PRODUCER_ID:
            return replace(following, producer_id=self.producer_id)
        return following

    patch.setattr(Transaction, "completed", completed)


PLANTED = [
    fences_without_an_epoch,
    gives_an_epoch_twice,
    ends_without_an_epoch,
    decides_before_it_is_written,
    decides_twice,
    forgets_a_partition,
    waits_for_no_marker,
    sends_no_markers_after_a_reload,
    gives_up_a_lost_marker,
    never_times_out,
    asks_no_owner,
    lets_a_transition_overtake,
    adds_while_it_completes,
    reuses_the_last_producer_id,
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):  # Broken, or the code's own
        schedules.run(Simulation, range(BUG_SCHEDULES))
