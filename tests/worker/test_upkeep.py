"""What is done from time to time."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.storage.checkpoints import read_offsets
from fastbroker.worker.removal import Removal
from fastbroker.worker.saving import Saving
from fastbroker.worker.upkeep import Upkeep
from tests.handlers.bench import Bench
from tests.worker.loops import InstantLoop

DAY_MS = 86_400_000


class Fixture:
    def __init__(self, path: pathlib.Path) -> None:
        self.bench = Bench(path)
        self.flushed: list[Partition] = []
        self.upkeep = Upkeep(
            InstantLoop(), self.bench.broker, self.flushed.append,  # type: ignore[arg-type]
            Saving(InstantLoop(), self.bench.broker, print).begin,  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture
def fixture(tmp_path: pathlib.Path) -> Fixture:
    return Fixture(tmp_path)


def test_silent_producers_are_forgotten(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create()
    bench.append("v", producer_id=5, producer_epoch=0, base_sequence=0, at=bench.timers.now_ms())
    bench.timers.advance(DAY_MS - 1)
    fixture.upkeep.expire_producers()
    assert 5 in bench.partition().log.producers.producers
    bench.timers.advance(2)
    fixture.upkeep.expire_producers()
    assert 5 not in bench.partition().log.producers.producers


def test_what_has_waited_for_flush_ms_is_flushed(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create("lazy", flush_messages=1000, flush_ms=5000)
    bench.create("any", flush_messages=1000)
    bench.create("clean", flush_messages=1000)
    for name in ("lazy", "any"):
        bench.append("v", name=name)
    fixture.upkeep.flush_old()
    assert [one.name.topic for one in fixture.flushed] == ["any"]
    bench.timers.advance(5000)
    fixture.upkeep.flush_old()
    assert [one.name.topic for one in fixture.flushed] == ["any", "lazy", "any"]


def test_checkpoints_are_written_and_work_goes_on(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create()
    bench.append("a", "b")
    bench.partition().delete_records(1)
    fixture.upkeep.start()
    bench.timers.advance(60_000)
    for name, offset in [
        ("recovery-point-offset-checkpoint", 2),
        ("log-start-offset-checkpoint", 1),
        ("replication-offset-checkpoint", 2),
    ]:
        path = os.path.join(bench.log_dir.path, name)
        assert read_offsets(bench.log_dir.disk, path) == {TopicPartition("t", 0): offset}
    waiting = bench.timers.waiting
    bench.timers.advance(60_000)
    assert bench.timers.waiting == waiting


def test_a_failed_checkpoint_is_only_logged(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    fixture.bench.create()
    monkeypatch.setattr(fixture.bench.log_dir.disk, "replace_file", full)
    fixture.upkeep.start()
    fixture.bench.timers.advance(60_000)
    assert "a checkpoint was not written" in caplog.text


def test_files_and_directories_are_removed_later(
    fixture: Fixture, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = fixture.bench
    remove = Removal(InstantLoop(), bench.timers, bench.log_dir.disk)  # type: ignore[arg-type]
    directory, file = tmp_path / "t-0.x-delete", tmp_path / "0.log.deleted"
    directory.mkdir()
    for path in (directory / "one", file):
        path.write_text("x")
    for path in (directory, file, tmp_path / "never was"):
        remove(1000, str(path))
    bench.timers.advance(999)
    assert directory.exists()
    assert file.exists()
    bench.timers.advance(1)
    assert not directory.exists()
    assert not file.exists()
    assert not caplog.records
    directory.mkdir()
    (directory / "inner").mkdir()
    remove(0, str(directory))
    bench.timers.advance(0)
    assert "cannot be removed" in caplog.text


def test_transactions_are_looked_at_from_time_to_time(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, seen = fixture.bench, []
    coordinator = bench.broker.transactions
    monkeypatch.setattr(coordinator, "abort_timed_out", lambda now: seen.append(("late", now)))
    monkeypatch.setattr(coordinator, "expire", lambda now: seen.append(("idle", now)))
    fixture.upkeep.start()
    begun = bench.timers.now_ms()
    bench.timers.advance(25_000)
    assert seen == [("late", begun + 10_000), ("late", begun + 20_000)]
    bench.timers.advance(3_600_000)
    assert ("idle", begun + 3_600_000) in seen
