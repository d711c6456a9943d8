"""Bugs of compaction to be planted: files, offsets, times, transactions, and what it holds."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastbroker.config.kinds import LONG_MAX
from fastbroker.records.control import ABORT
from fastbroker.storage import offset_checkpoints, recovery, swap
from fastbroker.storage.compaction import cleaning, rewriting
from fastbroker.storage.compaction.candidates import Candidate
from fastbroker.storage.compaction.rewriting import Rewriting
from fastbroker.storage.compaction.transactions import CleanedTransactions, MarkerFate
from fastbroker.storage.disk import Disk
from fastbroker.storage.offset_checkpoints import OffsetCheckpoints
from fastbroker.worker import compaction, rounds
from fastbroker.worker.compaction import Compaction
from tests.storage.compaction.scribe import changed
from tests.time.planted import Plant, nothing


def with_other(real: Callable[..., Any], **other: Any) -> Callable[..., Any]:
    """`real` is given something else than it should be."""

    def wrong(*given: Any, **how: Any) -> Any:
        return real(*given, **{**how, **other})

    return wrong


def with_config(patch: pytest.MonkeyPatch, **values: object) -> None:
    """What is due is found by another configuration than the topic's."""
    real = compaction.candidate

    def wrong(*given: Any, config: Any, **how: Any) -> Candidate:
        return real(*given, config=changed(config, **values), **how)

    patch.setattr(compaction, "candidate", wrong)


# ---- files


def old_segments_are_not_removed(patch: pytest.MonkeyPatch) -> None:
    real = cleaning.swap_in
    patch.setattr(cleaning, "swap_in", lambda *given: (real(*given)[0], []))


def what_is_not_needed_stays_cleaned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rewriting, "abandon", lambda self: self._close())


def the_last_name_is_not_given(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cleaning, "settle", nothing)


def a_swap_is_not_finished_at_a_start(patch: pytest.MonkeyPatch) -> None:
    def wrong(disk: Disk, directory: str) -> None:
        for name in disk.list(directory):
            if name.endswith((swap.CLEANED, swap.SWAP)):
                disk.remove(f"{directory}/{name}")

    patch.setattr(recovery, "finish_swaps", wrong)


def leftovers_of_cleanings_stay_at_a_start(patch: pytest.MonkeyPatch) -> None:
    real = swap._finish

    def wrong(disk: Disk, directory: str) -> None:
        names = disk.list(directory)
        for name in names:
            stem = name.removesuffix(".log.swap")
            if stem != name:
                real(disk, directory, int(stem), names)

    patch.setattr(recovery, "finish_swaps", wrong)


def snapshots_of_old_segments_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(swap, "SNAPSHOT", ".none")


# ---- how far it has come


def how_far_it_came_is_not_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OffsetCheckpoints, "write_cleaned", nothing)


def how_far_it_came_is_not_read(patch: pytest.MonkeyPatch) -> None:
    real = OffsetCheckpoints._read

    def wrong(self: OffsetCheckpoints, name: str) -> Any:
        return {} if name == offset_checkpoints.CLEANED else real(self, name)

    patch.setattr(OffsetCheckpoints, "_read", wrong)


def it_never_knows_how_far_it_came(patch: pytest.MonkeyPatch) -> None:
    async def wrong(*_: Any) -> None:
        pass

    patch.setattr(Compaction, "_note", wrong)


# ---- what is due


def the_smallest_lag_does_not_count(patch: pytest.MonkeyPatch) -> None:
    with_config(patch, min_compaction_lag_ms=0)


def the_largest_lag_does_not_count(patch: pytest.MonkeyPatch) -> None:
    with_config(patch, max_compaction_lag_ms=LONG_MAX)


def all_that_is_dirty_is_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Candidate, "is_due", lambda self, _: self.dirty_bytes > 0)


def what_is_unstable_is_cleaned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(compaction, "candidate", with_other(compaction.candidate, limit=LONG_MAX))


def due_logs_are_closed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rounds, "will_be_due", lambda *_: False)


# ---- what stays


def tombstones_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rewriting, "BatchFilter", with_other(rewriting.BatchFilter, now_ms=0))


def tombstones_go_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rewriting, "BatchFilter", with_other(rewriting.BatchFilter, now_ms=1 << 62))


def tombstones_stay_too_short(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rewriting, "BatchFilter", with_other(rewriting.BatchFilter, horizon_ms=0))


def what_was_aborted_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CleanedTransactions, "is_aborted", lambda *_: False)


def markers_go_before_their_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CleanedTransactions, "marker", lambda *_: MarkerFate(True))


def markers_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CleanedTransactions, "marker", lambda *_: MarkerFate(False))


def aborted_transactions_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = CleanedTransactions.marker

    def wrong(self: CleanedTransactions, header: Any, kind: int) -> MarkerFate:
        fate = real(self, header, kind)
        return fate._replace(aborted=None) if kind == ABORT else fate

    patch.setattr(CleanedTransactions, "marker", wrong)


def the_last_of_a_producer_goes(patch: pytest.MonkeyPatch) -> None:
    real = cleaning.Rules
    patch.setattr(cleaning, "Rules", lambda config, now_ms, _: real(config, now_ms, {}))


def the_last_value_is_looked_for_in_the_first_segment(patch: pytest.MonkeyPatch) -> None:
    real = cleaning.Cleaning.map_keys

    def wrong(self: cleaning.Cleaning) -> int:
        plan = self.plan
        self.plan = plan._replace(sources=plan.sources[:1], first_dirty=0)
        real(self)
        self.plan = plan
        assert self.keys is not None
        self.keys.advance(plan.end - 1)
        return plan.end

    patch.setattr(cleaning.Cleaning, "map_keys", wrong)


# ---- what is held


def a_descriptor_leaks_at_each_cleaning(patch: pytest.MonkeyPatch) -> None:
    real = rewriting.walk

    def leaky(source: Any, *given: Any, disk: Disk, **how: Any) -> bool:
        disk.open(source.path, write=False)
        return real(source, *given, disk=disk, **how)

    patch.setattr(rewriting, "walk", leaky)


def replaced_segments_live_on(patch: pytest.MonkeyPatch) -> None:
    kept, real = [], cleaning.swap_in

    def leaky(log: Any, begun: cleaning.Plan, new: Any) -> Any:
        kept.append(begun.segments)
        return real(log, begun, new)

    patch.setattr(cleaning, "swap_in", leaky)


def a_log_is_held_for_ever(patch: pytest.MonkeyPatch) -> None:
    async def wrong(self: Compaction, partition: Any, found: Candidate) -> bool:
        self.broker.log_dir.held.add(partition.name)
        return await self._clean(partition, found)

    patch.setattr(Compaction, "clean", wrong)


PLANTED_IN_COMPACTION: tuple[Plant, ...] = (
    old_segments_are_not_removed,
    what_is_not_needed_stays_cleaned,
    the_last_name_is_not_given,
    a_swap_is_not_finished_at_a_start,
    leftovers_of_cleanings_stay_at_a_start,
    snapshots_of_old_segments_stay,
    how_far_it_came_is_not_written,
    how_far_it_came_is_not_read,
    it_never_knows_how_far_it_came,
    the_smallest_lag_does_not_count,
    the_largest_lag_does_not_count,
    all_that_is_dirty_is_due,
    what_is_unstable_is_cleaned,
    due_logs_are_closed,
    tombstones_stay,
    tombstones_go_too_early,
    tombstones_stay_too_short,
    what_was_aborted_stays,
    markers_go_before_their_data,
    markers_stay,
    aborted_transactions_are_forgotten,
    the_last_of_a_producer_goes,
    the_last_value_is_looked_for_in_the_first_segment,
    a_descriptor_leaks_at_each_cleaning,
    replaced_segments_live_on,
    a_log_is_held_for_ever,
)
