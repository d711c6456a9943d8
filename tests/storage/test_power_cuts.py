"""Thousands of random power cuts on a simulated disk; and planted bugs, which they find."""
from __future__ import annotations

import os.path
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker.errors import KafkaError
from fastbroker.storage import log as log_module
from fastbroker.storage import segment as segment_module
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.index import IndexFile
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import CLEAN, LogDir
from fastbroker.storage.offset_checkpoints import RECOVERY_POINTS
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.segment import Segment
from fastbroker.storage.txn_index import TxnIndex
from tests.sim import schedules
from tests.sim.disk import SimulatedDisk
from tests.storage.power_cuts import Schedule

SCHEDULES = 1_000
BUG_SCHEDULES = 1_000


@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(Schedule, schedules.seeds(pytestconfig, SCHEDULES))


def acknowledges_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    right = Log.begin_flush

    def begin_flush(self: Log) -> FlushJob | None:
        job = right(self)
        if job is not None:
            self.flushed_offset = job.offset
        return job

    patch.setattr(Log, "begin_flush", begin_flush)


def leaves_directories_out(patch: pytest.MonkeyPatch) -> None:
    right = FlushJob.descriptors

    def descriptors(self: FlushJob) -> Any:
        return right(self._replace(directories=[]))

    patch.setattr(FlushJob, "descriptors", descriptors)


def leaves_closed_segments_out(patch: pytest.MonkeyPatch) -> None:
    right = Log.begin_flush

    def begin_flush(self: Log) -> FlushJob | None:
        job = right(self)
        return job._replace(files=job.files[-1:]) if job is not None else None

    patch.setattr(Log, "begin_flush", begin_flush)


def replaces_files_unsynced(patch: pytest.MonkeyPatch) -> None:
    def replace_file(self: SimulatedDisk, path: str, data: bytes) -> None:
        self.write_file(path, data)

    patch.setattr(SimulatedDisk, "replace_file", replace_file)


def points_beyond_what_is_flushed(patch: pytest.MonkeyPatch) -> None:
    def write_recovery_points(self: LogDir) -> None:
        ends = {name: log.log_end_offset for name, log in self.logs.items()}
        self._write(RECOVERY_POINTS, ends)

    patch.setattr(LogDir, "write_recovery_points", write_recovery_points)


def believes_every_batch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment_module, "crc_is_right", lambda *_: True)


def believes_old_indexes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IndexFile, "clear", lambda self: None)


def forgets_what_recovery_cut(patch: pytest.MonkeyPatch) -> None:
    right = SimulatedDisk.truncate

    def truncate(self: SimulatedDisk, fd: int, size: int) -> None:
        if not self._open[fd][1].endswith(".log"):
            right(self, fd, size)

    patch.setattr(SimulatedDisk, "truncate", truncate)


def forgets_producers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_module, "producers_at", lambda *_: ProducerState())


def forgets_aborted_transactions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TxnIndex, "write", lambda self: None)


def stays_clean(patch: pytest.MonkeyPatch) -> None:
    right = SimulatedDisk.remove

    def remove(self: SimulatedDisk, path: str) -> None:
        if os.path.basename(path) != CLEAN:
            right(self, path)

    patch.setattr(SimulatedDisk, "remove", remove)


def takes_any_directory(patch: pytest.MonkeyPatch) -> None:
    def create(self: Log, topic_id: bytes) -> None:
        pass

    patch.setattr(Log, "_write_topic_id", create)


def serves_recovered_pages_unsynced(patch: pytest.MonkeyPatch) -> None:
    right = Segment.write_indexes

    def write_indexes(self: Segment) -> None:
        disk = self.disk
        sync, disk.sync = disk.sync, lambda fd: None  # type: ignore[method-assign]
        try:
            right(self)
        finally:
            disk.sync = sync  # type: ignore[method-assign]

    patch.setattr(Segment, "write_indexes", write_indexes)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "plant",
    [
        acknowledges_before_the_sync,
        leaves_directories_out,
        leaves_closed_segments_out,
        replaces_files_unsynced,
        points_beyond_what_is_flushed,
        believes_every_batch,
        believes_old_indexes,
        forgets_what_recovery_cut,
        forgets_producers,
        forgets_aborted_transactions,
        stays_clean,
        takes_any_directory,
        serves_recovered_pages_unsynced,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((schedules.Broken, KafkaError)):
        schedules.run(Schedule, range(BUG_SCHEDULES))
