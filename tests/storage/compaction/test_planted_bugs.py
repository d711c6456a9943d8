"""The tests of compaction find mistakes: each is planted here, and has to be noticed."""
from __future__ import annotations

import pathlib
import random
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker._c.cleaner import BatchFilter
from fastbroker.errors import KafkaStorageError
from fastbroker.storage.compaction import cleaning, offset_map, rewriting
from fastbroker.storage.compaction.transactions import CleanedTransactions, MarkerFate
from tests.storage.compaction.cleanings import LARGE
from tests.storage.compaction.crashing_disk import CrashingDisk
from tests.storage.compaction.test_against_model import Story, some_steps
from tests.storage.compaction.test_crashes import Stages, check, crashed, written

Patch = pytest.MonkeyPatch


def with_filter(**changes: Callable[[dict[str, Any]], object]) -> Callable[..., BatchFilter]:
    """BatchFilter, made with other arguments."""

    def make(keys: Any, **how: Any) -> BatchFilter:
        return BatchFilter(keys, **{**how, **{name: to(how) for name, to in changes.items()}})

    return make


def tombstones_go_too_early(patch: Patch) -> None:
    patch.setattr(
        rewriting, "BatchFilter", with_filter(horizon_ms=lambda how: how["now_ms"] - 10**9)
    )


def a_producers_last_batch_goes(patch: Patch) -> None:
    patch.setattr(rewriting, "BatchFilter", with_filter(kept=lambda how: how["kept"][-1:]))


def the_last_batch_of_a_segment_goes(patch: Patch) -> None:
    patch.setattr(cleaning, "last_offset_of", lambda *_: -1)


def a_marker_goes_before_its_data(patch: Patch) -> None:
    patch.setattr(CleanedTransactions, "marker", lambda *_: MarkerFate(True))


def aborted_values_count_as_the_last(patch: Patch) -> None:
    """Aborted data is still left out when rewriting: then the value before it is lost as well."""

    class Blind(CleanedTransactions):
        def is_aborted(self, header: Any) -> bool:
            return False

    patch.setattr(
        cleaning, "mapping",
        lambda keys, start, _: offset_map.mapping(keys, start, Blind()),
    )  # fmt: skip


def the_map_forgets_where_it_ended(patch: Patch) -> None:
    def mapped(keys: Any, start: int, transactions: CleanedTransactions) -> Any:
        use = offset_map.mapping(keys, start, transactions)

        def and_more(data: bytes, position: int) -> int:
            used = use(data, position)
            keys.advance(10**9)
            return used

        return and_more

    patch.setattr(cleaning, "mapping", mapped)


@pytest.mark.parametrize(
    "plant",
    [
        tombstones_go_too_early,
        a_producers_last_batch_goes,
        the_last_batch_of_a_segment_goes,
        a_marker_goes_before_its_data,
        aborted_values_count_as_the_last,
        the_map_forgets_where_it_ended,
    ],
    ids=lambda plant: plant.__name__,
)
def test_the_model_notices(
    tmp_path: pathlib.Path, monkeypatch: Patch, plant: Callable[[Patch], None]
) -> None:
    plant(monkeypatch)
    for seed in range(5):
        story = Story(tmp_path / str(seed), {"segment_bytes": 900}, LARGE)
        try:
            for step in some_steps(random.Random(seed), 150):
                story.step(step)
            story.end()
        except AssertionError:
            return
    raise ValueError("nobody has noticed")


def nothing_is_synced_before_it_is_committed(patch: Patch) -> None:
    finish = rewriting.Rewriting.finish

    def finish_unsynced(self: rewriting.Rewriting) -> rewriting.NewSegment:
        patch.setattr(CrashingDisk, "sync", lambda *_: None)
        return finish(self)

    patch.setattr(rewriting.Rewriting, "finish", finish_unsynced)


def the_old_go_before_the_commit_is_on_the_medium(patch: Patch) -> None:
    patch.setattr(CrashingDisk, "sync_directory", lambda *_: None)


def the_old_segment_is_removed_first(patch: Patch) -> None:
    commit = cleaning.commit

    def remove_and_commit(disk: Any, directory: str, base: int) -> None:
        disk.remove(f"{directory}/{base:020d}.log")
        commit(disk, directory, base)

    patch.setattr(cleaning, "commit", remove_and_commit)


@pytest.mark.parametrize(
    "plant",
    [
        nothing_is_synced_before_it_is_committed,
        the_old_go_before_the_commit_is_on_the_medium,
        the_old_segment_is_removed_first,
    ],
    ids=lambda plant: plant.__name__,
)
def test_a_power_cut_shows(
    tmp_path: pathlib.Path, monkeypatch: Patch, plant: Callable[[Patch], None]
) -> None:
    cleaned = written(tmp_path / "origin")
    shutil.copytree(tmp_path / "origin", tmp_path / "stages")
    stages = Stages(tmp_path / "stages", cleaned)
    dice = random.Random(1)
    for stop_at in range(10**6):
        with monkeypatch.context() as patch:
            plant(patch)
            disk = crashed(tmp_path / "origin", tmp_path / "work", cleaned, stop_at)
        if disk is None:
            break
        for number in range(4):
            image = tmp_path / f"cut-{stop_at}-{number}"
            disk.crash_image(image / "t-0", dice)
            try:
                check(image, stages, cleaned)
            except (AssertionError, OSError, KafkaStorageError):
                return
            shutil.rmtree(image)
    raise ValueError("nobody has noticed")
