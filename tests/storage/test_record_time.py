"""The time of the first record at or after an offset, against reading everything."""
from __future__ import annotations

import pathlib
import random

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker
from fastbroker.records.reader import iter_batches
from fastbroker.storage.log import Log
from fastbroker.storage.record_time import (
    NOTHING,
    Budget,
    ClosedTimeSearch,
    TimeRange,
    TimeSearch,
    estimate,
)
from tests.storage.compaction.cleanings import clean
from tests.storage.logs import NOW, append, filled, open_log

PLENTY = 1 << 30


def search(log: Log, offset: int, end: int | None = None, **budget: int) -> TimeRange | None:
    budget = {"headers": PLENTY, "bytes": PLENTY, **budget}
    end = log.log_end_offset if end is None else end
    return TimeSearch(log.segments, offset, end).run(Budget(**budget))


def everything(log: Log) -> list[tuple[int, int]]:
    """(offset, timestamp) of every record."""
    return [
        (record.offset, record.timestamp)
        for segment in log.segments
        for batch in iter_batches(segment.read(0, segment.size))
        if not batch.header.is_control
        for record in batch.records()
    ]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_a_reader_of_everything_finds(tmp_path: pathlib.Path, seed: int) -> None:
    chance = random.Random(seed)
    log = open_log(tmp_path, TopicConfig(segment_bytes=4000, index_interval_bytes=200))
    producer = 7
    for _ in range(60):
        count = chance.choice((1, 1, 2, 20))
        times = [NOW + chance.randrange(-9_000_000, 3_000_000) for _ in range(count)]
        kind = chance.choice(("plain", "plain", "lz4", "marker"))
        if kind == "marker":
            marker = EndTransactionMarker(producer, 0, 0, True, 0)
            log.append_marker(marker, leader_epoch=0, now_ms=NOW)
            continue
        records = [(b"k", b"v" * chance.randrange(80), (), time) for time in times]
        batch = build_batch(records, compression="lz4" if kind == "lz4" else "none")
        log.append(memoryview(batch), leader_epoch=0, now_ms=NOW, produce_version=9)
    assert len(log.segments) > 2
    records = everything(log)
    for offset in range(log.log_end_offset + 1):
        end = chance.choice((log.log_end_offset, offset, min(offset + 3, log.log_end_offset)))
        times = [time for at, time in records if offset <= at < end]
        assert search(log, offset, end) == (TimeRange(times[0], times[0]) if times else NOTHING)


def test_a_compacted_log_has_gaps(tmp_path: pathlib.Path) -> None:
    chance = random.Random(5)
    rules = TopicConfig(
        segment_bytes=3000, cleanup_policy=("compact",), min_cleanable_dirty_ratio=0.0,
        index_interval_bytes=200,
    )  # fmt: skip
    log = open_log(tmp_path, rules)
    for number in range(150):
        count = chance.choice((1, 5, 20))
        records = [(b"%d" % chance.randrange(30), b"v", (), NOW + 100 * number + n)
                   for n in range(count)]  # fmt: skip
        data = memoryview(build_batch(records))
        log.append(data, leader_epoch=0, now_ms=NOW + 60_000, produce_version=9)
    log.flush()
    clean(log, now=NOW + 10**9)
    records = everything(log)
    assert len(records) < log.log_end_offset / 2
    for offset in range(log.log_end_offset):
        time = next(time for at, time in records if at >= offset)
        assert search(log, offset) == TimeRange(time, time), offset


def test_the_append_time_is_every_records(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, TopicConfig(message_timestamp_type="LogAppendTime"))
    append(log, "a", "b", "c", at=NOW - 50_000, now=NOW)
    assert search(log, 1, bytes=0) == TimeRange(NOW, NOW), "nothing is decoded"


def test_a_batch_that_begins_there_is_not_decoded(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "a", "b", "c", at=NOW)
    assert search(log, 0, bytes=0) == TimeRange(NOW, NOW)
    assert search(log, 1, bytes=0) is None
    assert search(log, 1) == TimeRange(NOW + 1, NOW + 1)


def test_a_budget_that_is_used_up_is_no_answer(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 10, TopicConfig(index_interval_bytes=1 << 20))
    assert search(log, 9, headers=9) is None
    assert search(log, 9, headers=10) == TimeRange(NOW + 9, NOW + 9)


def test_the_time_index_says_between_which_times(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 200, TopicConfig(segment_bytes=4000, index_interval_bytes=300))
    assert len(log.segments) > 2
    for offset in range(200):
        found = estimate(log.segments, offset)
        assert found.first <= NOW + offset <= found.last, offset
        assert found.last - found.first < 20
    assert estimate(log.segments, 200) == NOTHING or estimate(log.segments, 200).last <= NOW + 199


def test_indexes_and_files_that_were_not_open_stay_closed(tmp_path: pathlib.Path) -> None:
    filled(tmp_path, 200, TopicConfig(segment_bytes=4000, index_interval_bytes=300)).close()
    log = open_log(tmp_path, is_clean=True)
    first = log.segments[0]
    first.let_go()
    assert search(log, 5) == TimeRange(NOW + 5, NOW + 5)
    estimate(log.segments, 5)
    assert first.is_idle


def test_a_closed_log_is_searched_without_being_opened(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 200, TopicConfig(segment_bytes=4000, index_interval_bytes=300))
    log.close()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "t-0").iterdir()}
    for offset in range(0, 200, 7):
        wanted = ClosedTimeSearch(log.disk, log.directory, offset, 200)
        assert wanted.run(Budget(headers=PLENTY, bytes=PLENTY)) == (NOW + offset, NOW + offset)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "t-0").iterdir()}
    gone = ClosedTimeSearch(log.disk, log.directory + "1", 0, 200)
    assert gone.run(Budget(headers=PLENTY, bytes=PLENTY)) is None


def test_a_large_batch_tells_between_which_times(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, *["v" * 1000] * 200, at=NOW)
    assert search(log, 0) == TimeRange(NOW, NOW)
    assert search(log, 100) == TimeRange(NOW, NOW + 199)


def test_what_was_dropped_meanwhile_is_read_all_the_same(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 200, TopicConfig(segment_bytes=4000))
    wanted = TimeSearch(log.segments, 3, 200)
    for segment in log.segments.drop_first(1):
        segment.remove()
    assert wanted.run(Budget(headers=PLENTY, bytes=PLENTY)) == TimeRange(NOW + 3, NOW + 3)


def test_a_damaged_batch_has_no_time(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "a", "b")
    segment = log.segments[0]
    log.disk.pwrite(segment.fd, b"\xff", segment.size - 1)
    assert search(log, 1) is None
    log.disk.pwrite(segment.fd, b"\xff" * 20, 0)
    assert search(log, 1) is None, "not that there is nothing"


def test_a_change_of_segments_is_seen(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 200, TopicConfig(segment_bytes=4000))
    version = log.segments.version
    append(log, "a", now=NOW)
    log.roll(NOW)
    assert log.segments.version == version, "what was there is there, at the same places"
    log.segments.drop_first(1)
    assert log.segments.version != version
