"""Rounds over all logs: retention, idle logs closed, recovery of what nobody asks for."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker.metadata.image import TOPIC
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.protocol.metadata_records import ConfigRecord
from fastbroker.worker.rounds import Rounds
from fastbroker.worker.saving import Saving
from tests.handlers.bench import ELSEWHERE, Bench
from tests.worker.loops import InstantLoop

DAY_MS = 86_400_000


class Fixture:
    def __init__(self, path: pathlib.Path) -> None:
        self.bench = Bench(path)
        self.removed: list[tuple[int, str]] = []
        self.flushed: list[Partition] = []
        self.saving = Saving(InstantLoop(), self.bench.broker, print)  # type: ignore[arg-type]
        self.rounds = Rounds(
            self.bench.broker, lambda delay_ms, path: self.removed.append((delay_ms, path)),
            self.flushed.append,
        )


@pytest.fixture
def fixture(tmp_path: pathlib.Path) -> Fixture:
    return Fixture(tmp_path)


def test_old_segments_are_dropped_and_removed_later(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create(retention_ms=DAY_MS, file_delete_delay_ms=77)
    bench.append("old", at=bench.timers.now_ms())
    fixture.rounds.begin()
    assert not fixture.removed
    bench.timers.advance(DAY_MS + 1)
    fixture.rounds.begin()
    assert bench.partition().log.log_start_offset == 1, "the active segment is rolled, then dropped"
    assert {delay for delay, _ in fixture.removed} == {77}
    assert all(path.endswith(".deleted") for _, path in fixture.removed)


def test_only_leaders_in_good_order_drop(fixture: Fixture) -> None:
    bench = fixture.bench
    for name in ("follower", "failed"):
        bench.create(name, retention_ms=1)
        bench.append("old", name=name, at=bench.timers.now_ms())
    bench.elect(ELSEWHERE, "follower")
    bench.partition("failed").fail(OSError("EIO"))
    bench.timers.advance(DAY_MS)
    fixture.rounds.begin()
    assert not fixture.removed


def test_a_full_disk_stops_nothing(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = fixture.bench
    bench.create(retention_ms=1)
    bench.append("old", at=bench.timers.now_ms())
    bench.timers.advance(DAY_MS)

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(bench.log_dir.disk, "write_file", full)
        fixture.rounds.begin()
    assert not fixture.removed
    fixture.rounds.begin()
    assert fixture.removed


def test_a_log_that_nobody_uses_is_closed_and_opened_again(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create()
    bench.append("a", producer_id=5, producer_epoch=0, base_sequence=0)
    fixture.rounds.begin()
    fixture.saving.begin()
    assert bench.log_dir.logs, "it was used since the round before"
    fixture.rounds.begin()
    assert not bench.log_dir.logs
    partition = bench.partition()
    assert partition.opened is None
    assert bench.log_dir.size_of(partition.name) > 0
    assert (partition.high_watermark, partition.log.log_end_offset) == (1, 1)
    assert 5 in partition.log.producers.producers
    bench.append("b")
    assert partition.high_watermark == 2


def test_a_log_with_something_on_its_way_stays_open(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create("dirty", flush_messages=1000)
    bench.append("a", name="dirty")
    bench.create("read")
    bench.append("a", name="read")
    reader = object()
    bench.partition("read").purgatory.await_data(reader, lambda: None)
    bench.create("verified")
    bench.append("a", name="verified")
    bench.partition("verified").begin_verification(1, 0)
    for _ in range(3):
        fixture.rounds.begin()
        fixture.saving.begin()
    assert {name.topic for name in bench.log_dir.logs} == {"dirty", "read", "verified"}
    bench.partition("read").purgatory.leave(reader)
    fixture.rounds.begin()
    assert {name.topic for name in bench.log_dir.logs} == {"dirty", "verified"}


def compacted(bench: Bench, name: str, **config: object) -> None:
    """A compacted topic with a closed segment and an active one."""
    bench.create(name, cleanup_policy="compact", **config)
    bench.append("a", name=name)
    bench.partition(name).log.roll(bench.timers.now_ms())
    bench.append("b", name=name)


def test_a_log_that_is_to_be_compacted_stays_open(fixture: Fixture) -> None:
    bench = fixture.bench
    compacted(bench, "due")
    compacted(bench, "due-later", min_compaction_lag_ms=10 * DAY_MS)
    compacted(bench, "clean-enough", min_cleanable_dirty_ratio=1.0)
    compacted(bench, "overdue-later", min_cleanable_dirty_ratio=1.0, max_compaction_lag_ms=DAY_MS)
    compacted(bench, "cleaned")
    bench.log_dir.cleaned[TopicPartition("cleaned", 0)] = 1
    compacted(bench, "deleted-before")
    bench.partition("deleted-before").log.advance_start(1)
    bench.create("one-segment", cleanup_policy="compact")
    bench.append("a", name="one-segment")
    for _ in range(3):
        fixture.rounds.begin()
        fixture.saving.begin()
    assert {name.topic for name in bench.log_dir.logs} == {"due", "due-later", "overdue-later"}
    for name in ("due", "due-later", "overdue-later"):
        bench.log_dir.cleaned[TopicPartition(name, 0)] = 1
    fixture.rounds.begin()
    assert not bench.log_dir.logs


def test_a_closed_log_that_is_to_be_compacted_is_opened(fixture: Fixture) -> None:
    bench = fixture.bench
    compacted(bench, "t", min_cleanable_dirty_ratio=1.0)
    for _ in range(3):
        fixture.rounds.begin()
        fixture.saving.begin()
    assert not bench.log_dir.logs
    bench.apply(
        ConfigRecord(
            resource_type=TOPIC, resource_name="t", name="min.cleanable.dirty.ratio", value="0.5"
        )
    )
    fixture.rounds.begin()
    assert bench.log_dir.logs


def test_partitions_that_were_never_written_have_no_files(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create(partitions=3)
    assert bench.partition("t", 1).log.log_end_offset == 0  # a reader has looked
    fixture.rounds.begin()
    assert not [name for name in os.listdir(bench.log_dir.path) if name.startswith("t-")]
    bench.append("a")
    assert os.path.isdir(os.path.join(bench.log_dir.path, "t-0"))


def test_a_round_is_done_in_slices(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = fixture.bench
    bench.create(partitions=10)
    for number in range(10):
        bench.append("a", number=number)
    visited: list[TopicPartition] = []
    clock = iter(range(0, 10**6, 3))  # each look at the clock is 3 ms later
    monkeypatch.setattr(bench.timers, "monotonic_ms", lambda: next(clock))
    monkeypatch.setattr(
        fixture.rounds, "_visit", lambda partition: visited.append(partition.name)
    )
    fixture.rounds.begin()
    assert len(visited) == 2
    fixture.rounds.begin()
    assert len(visited) == 2, "a round is under way"
    bench.timers.advance(10_000)
    assert len(visited) == 10


def test_after_a_crash_every_log_is_looked_at(
    fixture: Fixture, caplog: pytest.LogCaptureFixture
) -> None:
    bench = fixture.bench
    bench.create()
    bench.append("a")
    partition = bench.partition()
    path = partition.log.segments[0].path
    with open(path, "ab") as file:
        file.write(b"torn")
    bench.log_dir.logs.clear()
    partition.forget_log()
    fixture.rounds.start()
    assert "4 bytes from position 70 on are no whole batch: cut" in caplog.text
    assert os.path.getsize(path) == partition.log.size


def test_a_log_whose_new_names_are_not_synced_stays_open(fixture: Fixture) -> None:
    """Nobody else would sync them, and what is acknowledged in them would go with them."""
    bench = fixture.bench
    bench.create(retention_ms=DAY_MS)
    bench.append("old", at=bench.timers.now_ms())
    fixture.saving.begin()
    bench.timers.advance(DAY_MS + 1)
    for _ in range(3):
        fixture.rounds.begin()
    assert bench.partition().log.log_start_offset == 1, "the active segment was rolled"
    assert bench.log_dir.logs
    assert fixture.flushed[-1] is bench.partition()
    bench.partition().log.flush()
    fixture.rounds.begin()
    assert not bench.log_dir.logs


def test_a_closed_log_is_looked_at_when_something_is_due(fixture: Fixture) -> None:
    bench = fixture.bench
    bench.create(retention_ms=10 * DAY_MS)
    bench.append("old", at=bench.timers.now_ms())
    fixture.saving.begin()
    for _ in range(2):
        fixture.rounds.begin()
    assert not bench.log_dir.logs
    opened: list[object] = []
    right = bench.log_dir.open_log
    bench.log_dir.open_log = lambda *how: opened.append(how) or right(*how)  # type: ignore
    bench.timers.advance(9 * DAY_MS)
    fixture.rounds.begin()
    assert not opened
    bench.timers.advance(DAY_MS + 1)
    fixture.rounds.begin()
    assert opened
    assert bench.partition().log.log_start_offset == 1
