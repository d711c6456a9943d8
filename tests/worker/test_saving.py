"""Recovery points and what makes the next recovery short, saved from time to time."""
from __future__ import annotations

import errno
import os
import pathlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import read_offsets
from fastbroker.storage.log_files import SAVE_BYTES
from fastbroker.storage.offset_checkpoints import RECOVERY_POINTS
from fastbroker.worker.saving import SYNC_ALL_FROM, Saving
from tests.handlers.bench import Bench
from tests.worker.loops import InstantLoop


def points(bench: Bench) -> dict[TopicPartition, int]:
    path = os.path.join(bench.log_dir.path, RECOVERY_POINTS)
    return read_offsets(bench.log_dir.disk, path)


@pytest.mark.parametrize("partitions", [2, SYNC_ALL_FROM])
def test_a_recovery_point_follows_its_epochs(tmp_path: pathlib.Path, partitions: int) -> None:
    bench = Bench(tmp_path)
    saving = Saving(InstantLoop(), bench.broker, print)  # type: ignore[arg-type]
    bench.create(partitions=partitions)
    for number in range(partitions):
        bench.append("a", number=number)
    log = bench.partition().log
    assert (log.flushed_offset, log.recovery_point) == (1, 0), "its epoch is in no file"
    saving.begin()
    assert log.recovery_point == 1
    assert points(bench) == {TopicPartition("t", n): 1 for n in range(partitions)}
    bench.elect(1)
    bench.append("b")
    assert (log.flushed_offset, log.recovery_point) == (2, 1)
    saving.begin()
    assert points(bench)[TopicPartition("t", 0)] == 2


def test_logs_that_have_grown_save_their_indexes_in_slices(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    saving = Saving(InstantLoop(), bench.broker, print)  # type: ignore[arg-type]
    bench.create(partitions=4, max_message_bytes=2 * SAVE_BYTES)
    for number in range(4):
        bench.append("x" * SAVE_BYTES, number=number)
    clock = iter(range(0, 10**6, 2))
    monkeypatch.setattr(bench.timers, "monotonic_ms", lambda: next(clock))

    def saved() -> int:
        directories = [os.path.join(bench.log_dir.path, f"t-{n}") for n in range(4)]
        names = [name for one in directories for name in os.listdir(one)]
        return sum(name.endswith("1.snapshot") for name in names)

    saving.begin()
    assert 0 < saved() < 4
    bench.timers.advance(1000)
    assert saved() == 4
    assert len(points(bench)) == 4


def test_a_failed_write_is_made_up_for_and_a_failed_sync_is_not(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path)
    failures: list[OSError] = []
    saving = Saving(InstantLoop(), bench.broker, failures.append)  # type: ignore[arg-type]
    bench.create()
    bench.append("a")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    def broken(*_: object) -> None:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch:
        patch.setattr(bench.log_dir.disk, "replace_file", full)
        saving.begin()
    assert "were not written" in caplog.text
    assert not points(bench)
    saving.begin()
    assert points(bench)
    bench.elect(1)
    bench.append("b")
    monkeypatch.setattr(bench.log_dir.disk, "sync_file", broken)
    saving.begin()
    assert [error.errno for error in failures] == [5]
    assert bench.partition().log.recovery_point == 1, "the epoch was never synced"


def test_what_only_the_journal_has_is_synced_from_time_to_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    saving = Saving(InstantLoop(), bench.broker, print)  # type: ignore[arg-type]
    bench.create()
    bench.instant = False
    bench.append("a")
    partition = bench.partition()
    job = partition.log.begin_flush()
    assert job is not None
    partition.flushed(job, is_journaled=True)
    partition.log.epochs.write()
    partition.log.epochs.synced()
    assert (partition.high_watermark, partition.log.recovery_point) == (1, 0)
    saving.begin()
    assert partition.log.recovery_point == 1
    assert points(bench) == {TopicPartition("t", 0): 1}


def test_nothing_is_begun_at_the_end(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    loop = LaterLoop()
    saving = Saving(loop, bench.broker, print)  # type: ignore[arg-type]
    bench.create()
    bench.append("a")
    saving.begin()
    saving.close()
    loop.run()
    assert not loop.waiting
    assert not points(bench)


class LaterLoop(InstantLoop):
    """An executor that runs when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def run_in_executor(self, _: object, call: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, call, args))
        return future

    def run(self) -> None:
        future, call, args = self.waiting.pop()
        future.set_result(call(*args))
def test_epochs_that_get_no_file_to_sync_are_synced_the_next_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    failures: list[OSError] = []
    saving = Saving(InstantLoop(), bench.broker, failures.append)  # type: ignore[arg-type]
    bench.create(partitions=2)
    for number in (0, 1):
        bench.append("a", number=number)
    scarce, disk = bench.partition().log.epochs.path, bench.log_dir.disk
    sync_file = disk.sync_file

    def sync(path: str) -> None:
        if path == scarce:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        sync_file(path)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync_file", sync)
        saving.begin()
    assert not failures
    assert points(bench) == {TopicPartition("t", 0): 0, TopicPartition("t", 1): 1}
    saving.begin()
    assert points(bench) == {TopicPartition("t", 0): 1, TopicPartition("t", 1): 1}


def test_a_sync_that_finds_no_space_is_the_end(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    failures: list[OSError] = []
    saving = Saving(InstantLoop(), bench.broker, failures.append)  # type: ignore[arg-type]
    bench.create()
    bench.append("a")

    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bench.log_dir.disk, "sync_file", full)
    saving.begin()
    assert [error.errno for error in failures] == [errno.ENOSPC]
