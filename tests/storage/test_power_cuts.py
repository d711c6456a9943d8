"""Thousands of random power cuts on a simulated disk; and planted bugs, which they find."""
from __future__ import annotations

import os.path
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker._c.record_batch import CorruptBatch
from fastbroker.errors import KafkaError
from fastbroker.storage import good_batches, log_dir
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.index import IndexFile
from fastbroker.storage.journal_replay import JournalReplay
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import CLEAN, LogDirError
from fastbroker.storage.partition_metadata import METADATA_FILE
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.snapshots import Snapshots
from fastbroker.storage.txn_index import TxnIndex
from fastbroker.storage.unflushed import Unflushed
from tests.sim import schedules
from tests.sim.disk import SimulatedDisk
from tests.storage.power_cuts import Schedule

SCHEDULES = 1_000
BUG_SCHEDULES = 1_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(Schedule, schedules.seeds(pytestconfig, SCHEDULES))


class YoungTopics(Schedule):
    """Topics live shortly, and are made again under their names: most cuts hit a log before or
    during its first flush."""

    steps = 40
    calls = 60
    weights = (40, 15, 50, 1, 1, 4, 12, 4, 2, 1, 1)


@pytest.mark.timeout(900)
def test_random_lives_of_young_topics(pytestconfig: pytest.Config) -> None:
    schedules.run(YoungTopics, schedules.seeds(pytestconfig, SCHEDULES))


def acknowledges_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    right = Unflushed.begin

    def begin(self: Unflushed, offset: int, **how: Any) -> FlushJob | None:
        job = right(self, offset, **how)
        if job is not None:
            self.flushed_offset = self.recovery_point = job.offset
        return job

    patch.setattr(Unflushed, "begin", begin)


def leaves_directories_out(patch: pytest.MonkeyPatch) -> None:
    right = FlushJob.open_names

    def open_names(self: FlushJob) -> Any:
        self.directories = ()
        return right(self)

    patch.setattr(FlushJob, "open_names", open_names)


def leaves_closed_segments_out(patch: pytest.MonkeyPatch) -> None:
    right = Unflushed.begin

    def begin(self: Unflushed, offset: int, **how: Any) -> FlushJob | None:
        job = right(self, offset, **how)
        if job is not None:
            job.files[:-1], job.ranges[:-1] = [], []
        return job

    patch.setattr(Unflushed, "begin", begin)


def takes_the_journal_for_the_segments(patch: pytest.MonkeyPatch) -> None:
    right = Unflushed.end

    def end(self: Unflushed, job: FlushJob, **_: Any) -> None:
        right(self, job)

    patch.setattr(Unflushed, "end", end)


def empties_the_journal_unsynced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(JournalReplay, "_sync", lambda *_: None)


def checkpoints_without_a_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedDisk, "sync_file_system", lambda *_: None)


def replaces_files_unsynced(patch: pytest.MonkeyPatch) -> None:
    def replace_file(self: SimulatedDisk, path: str, data: bytes) -> None:
        self.write_file(path, data)

    patch.setattr(SimulatedDisk, "replace_file", replace_file)


def points_beyond_what_is_flushed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "recovery_point", property(lambda self: self.log_end_offset))


def believes_every_batch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(good_batches, "crc_is_right", lambda *_: True)


def believes_old_indexes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IndexFile, "clear", lambda self: None)


def forgets_what_recovery_cut(patch: pytest.MonkeyPatch) -> None:
    right = SimulatedDisk.truncate

    def truncate(self: SimulatedDisk, fd: int, size: int) -> None:
        if not self._open[fd][1].endswith(".log"):
            right(self, fd, size)

    patch.setattr(SimulatedDisk, "truncate", truncate)


def forgets_producers(patch: pytest.MonkeyPatch) -> None:
    right = Snapshots.newest

    def newest(*where: Any) -> tuple[ProducerState, int]:
        return ProducerState(), right(*where)[1]

    patch.setattr(Snapshots, "newest", newest)


def forgets_aborted_transactions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TxnIndex, "write", lambda self: None)


def stays_clean(patch: pytest.MonkeyPatch) -> None:
    right = SimulatedDisk.remove

    def remove(self: SimulatedDisk, path: str) -> None:
        if os.path.basename(path) != CLEAN:
            right(self, path)

    patch.setattr(SimulatedDisk, "remove", remove)


def leaves_topic_ids_unsynced(patch: pytest.MonkeyPatch) -> None:
    right = FlushJob.open_names

    def open_names(self: FlushJob) -> Any:
        self.paths = [path for path in self.paths if not path.endswith(METADATA_FILE)]
        return right(self)

    patch.setattr(FlushJob, "open_names", open_names)


def takes_any_directory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_dir, "is_unflushed", lambda _: False)


def tells_no_topics_apart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_dir, "topic_id_text", lambda *_: None)
    patch.setattr(log_dir, "is_unflushed", lambda _: False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "plant",
    [
        acknowledges_before_the_sync,
        leaves_directories_out,
        leaves_closed_segments_out,
        takes_the_journal_for_the_segments,
        empties_the_journal_unsynced,
        checkpoints_without_a_sync,
        replaces_files_unsynced,
        points_beyond_what_is_flushed,
        believes_every_batch,
        believes_old_indexes,
        forgets_what_recovery_cut,
        forgets_producers,
        forgets_aborted_transactions,
        stays_clean,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((schedules.Broken, LogDirError, KafkaError, CorruptBatch)):
        schedules.run(Schedule, range(BUG_SCHEDULES))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "plant", [leaves_topic_ids_unsynced, takes_any_directory, tells_no_topics_apart]
)
def test_a_planted_bug_about_young_topics_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((schedules.Broken, KafkaError)):
        schedules.run(YoungTopics, range(BUG_SCHEDULES))
