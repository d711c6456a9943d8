"""One partition's log: appended, read, rolled, found by time, recovered, retained, truncated."""
from __future__ import annotations

import os
import pathlib
import random
from typing import Any

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import (
    NoSpaceLeft,
    OffsetOutOfRange,
    OutOfOrderSequenceNumber,
    RecordListTooLarge,
)
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from tests.storage.full_disk import FullDisk
from tests.storage.logs import NOW, append, batch, contents, open_log

SMALL = TopicConfig(segment_bytes=400, index_interval_bytes=100)


def filled(path: pathlib.Path, count: int, config: TopicConfig = SMALL) -> Log:
    log = open_log(path, config)
    for index in range(count):
        append(log, f"value {index}", now=NOW + index)
    return log


def logs_of(log: Log) -> list[str]:
    return [name for name in os.listdir(log.directory) if name.endswith(".log")]


def test_offsets_are_consecutive_over_batches_and_segments(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    assert append(log, "a", "b")[:2] == (0, 1)
    assert append(log, "c")[:2] == (2, 2)
    for index in range(20):
        append(log, f"more {index}")
    assert len(log.segments) > 3
    values = ["a", "b", "c", *(f"more {i}" for i in range(20))]
    assert contents(log) == list(enumerate(values))
    assert contents(log, 7) == list(enumerate(values))[7:]


def test_a_read_stops_at_the_maximum_offset_and_size(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 10, TopicConfig())
    one = log.read(0, max_bytes=1, max_offset=10, at_least_one=True).size
    assert log.read(0, max_bytes=1, max_offset=10, at_least_one=False).size == 1
    assert log.read(0, max_bytes=10**6, max_offset=3, at_least_one=True).size == 3 * one
    assert log.read(3, max_bytes=10**6, max_offset=3, at_least_one=True).size == 0
    assert log.read(10, max_bytes=10**6, max_offset=10, at_least_one=True).size == 0
    with pytest.raises(OffsetOutOfRange):
        log.read(11, max_bytes=1, max_offset=11, at_least_one=True)


@pytest.mark.parametrize("remembered", [True, False])
def test_every_offset_is_found(tmp_path: pathlib.Path, remembered: bool) -> None:
    log = open_log(tmp_path, SMALL)
    for index in range(50):
        append(log, *("x" * (index % 7) for _ in range(1 + index % 3)))
    if not remembered:
        log.segments.forget_recent()
    for offset in range(log.log_end_offset):
        assert contents(log, offset)[0][0] == offset


def test_a_record_is_found_by_time(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    chance = random.Random(3)
    times = []
    for _ in range(60):
        size = chance.randrange(1, 4)
        at = NOW + chance.randrange(1000)
        append(log, *["v"] * size, at=at, now=NOW + 1000)
        times += [at + step for step in range(size)]
    for wanted in range(NOW - 1, NOW + 1010, 7):
        expected = next((i for i, t in enumerate(times) if t >= wanted), None)
        found = log.offset_for_timestamp(wanted)
        assert (found.offset if found else None) == expected
    latest = log.record_of_max_timestamp()
    assert latest is not None
    assert latest.timestamp == max(times)
    assert latest.offset == times.index(max(times))


def test_a_batch_larger_than_a_segment_is_refused(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    with pytest.raises(RecordListTooLarge, match=r"segment\.bytes"):
        append(log, "x" * 500)
    assert log.log_end_offset == 0


def test_append_time_is_the_brokers(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, TopicConfig(message_timestamp_type="LogAppendTime"))
    assert append(log, "a", at=5, now=NOW).append_time == NOW
    found = log.offset_for_timestamp(NOW)
    assert found is not None
    assert found.timestamp == NOW


def test_a_repeated_batch_is_answered_and_not_written(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    producer = {"producer_id": 7, "producer_epoch": 0}
    append(log, "other")
    first = append(log, "a", "b", base_sequence=0, **producer)
    append(log, "c", base_sequence=2, **producer)
    again = append(log, "a", "b", base_sequence=0, **producer)
    assert again[:2] == first[:2] == (1, 2)
    assert again.is_duplicate
    assert log.log_end_offset == 4
    with pytest.raises(OutOfOrderSequenceNumber):
        append(log, "e", base_sequence=4, **producer)


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_log_is_the_same_after_opening_again(tmp_path: pathlib.Path, is_clean: bool) -> None:
    log = open_log(tmp_path, SMALL)
    for index in range(30):
        append(
            log, f"v{index}", epoch=index // 10, producer_id=5, producer_epoch=1,
            base_sequence=index, now=NOW + index,
        )  # fmt: skip
    before = contents(log)
    if is_clean:
        log.close()
    again = open_log(tmp_path, SMALL, is_clean=is_clean)
    assert contents(again) == before
    assert again.epochs.entries == [(0, 0), (1, 10), (2, 20)]
    assert [s.max_timestamp for s in again.segments] == [s.max_timestamp for s in log.segments]
    with pytest.raises(OutOfOrderSequenceNumber):
        append(again, "x", producer_id=5, producer_epoch=1, base_sequence=31)
    assert append(again, "x", producer_id=5, producer_epoch=1, base_sequence=30)[:2] == (30, 30)


def test_recovery_cuts_at_the_first_bad_batch(tmp_path: pathlib.Path) -> None:
    """Any damage at any place: what is left is a prefix, and the log goes on behind it."""
    chance = random.Random(11)
    for trial in range(60):
        path = tmp_path / str(trial)
        log = filled(path, 12)
        values = contents(log)
        name = os.path.join(log.directory, chance.choice(sorted(logs_of(log))))
        size = os.path.getsize(name)
        with open(name, "r+b") as file:
            kind = trial % 4
            if kind == 0:
                file.truncate(chance.randrange(size))
            elif kind == 1:
                file.seek(chance.randrange(size))
                file.write(b"\xa5" * 9)
            elif kind == 2:
                file.seek(0, os.SEEK_END)
                file.write(bytes(chance.randrange(1, 5000)))
            else:
                file.seek(0, os.SEEK_END)
                file.write(chance.randbytes(200))
        again = open_log(path, SMALL)
        left = contents(again)
        assert left == values[: len(left)]
        if kind >= 2 and name.endswith(f"{again.segments[-1].base_offset:020d}.log"):
            assert left == values
        append(again, "after")
        assert contents(again)[-1] == (len(left), "after")


def test_below_the_recovery_point_nothing_is_read(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 30)
    log.close()
    first = os.path.join(log.directory, f"{0:020d}.log")
    with open(first, "r+b") as file:
        file.seek(100)
        file.write(b"\xff")  # recovery would cut here
    again = open_log(tmp_path, SMALL, recovery_point=25)
    assert again.log_end_offset == 30


def test_retention_by_time_size_and_start(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 30)
    bases = [segment.base_offset for segment in log.segments]
    log.config = TopicConfig(segment_bytes=400, retention_ms=10)
    assert log.retain(NOW + 15, high_watermark=bases[1] - 1) == []
    removed = log.retain(NOW + bases[1] + 10, high_watermark=30)
    assert log.log_start_offset == bases[1]
    assert all(path.endswith(".deleted") and os.path.exists(path) for path in removed)
    log.config = TopicConfig(segment_bytes=400, retention_bytes=800)
    log.retain(NOW, 30)
    assert 800 <= log.size < 1200
    log.config = TopicConfig(segment_bytes=400)
    log.advance_start(29)
    log.retain(NOW, 30)
    assert log.segments[0].base_offset <= 29 < log.log_end_offset
    assert len(log.segments) == 1
    with pytest.raises(OffsetOutOfRange):
        log.read(28, max_bytes=1, max_offset=30, at_least_one=True)


def test_even_the_active_segment_grows_too_old(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 3, TopicConfig(retention_ms=10))
    log.retain(NOW + 1000, 3)
    assert (log.log_start_offset, log.log_end_offset, log.size) == (3, 3, 0)
    assert append(log, "next")[:2] == (3, 3)
    assert contents(log) == [(3, "next")]


def test_a_moved_start_survives_a_crash(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 30)
    log.advance_start(17)
    assert open_log(tmp_path, SMALL, log_start_offset=17).log_start_offset == 17


def test_truncation_forgets_what_was_behind(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    for index in range(30):
        append(log, f"v{index}", epoch=index // 10, producer_id=1, producer_epoch=0,
               base_sequence=index)  # fmt: skip
    log.truncate_to(13)
    assert contents(log) == [(i, f"v{i}") for i in range(13)]
    assert log.epochs.entries == [(0, 0), (1, 10)]
    assert append(log, "n", epoch=3, producer_id=1, producer_epoch=0, base_sequence=13)[0] == 13


def test_a_failed_write_changes_nothing(tmp_path: pathlib.Path) -> None:
    disk = FullDisk()
    log = open_log(tmp_path, disk=disk)
    append(log, "a")
    disk.is_full = True
    with pytest.raises(NoSpaceLeft, match="No space left"):
        append(log, "b", producer_id=1, producer_epoch=0, base_sequence=0)
    disk.is_full = False
    append(log, "c", producer_id=1, producer_epoch=0, base_sequence=0)
    assert contents(log) == [(0, "a"), (1, "c")]


def test_flushed_is_what_was_there_when_the_flush_began(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "a")
    job = log.begin_flush()
    append(log, "b")
    assert job is not None
    job.run()
    log.end_flush(job)
    assert log.flushed_offset == 1
    log.flush()
    assert log.flushed_offset == 2
    assert log.begin_flush() is None


def test_an_open_answer_outlives_its_segment(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 30)
    piece = log.read(0, max_bytes=200, max_offset=30, at_least_one=True).range()
    log.advance_start(29)
    for path in log.retain(NOW, 30):
        os.unlink(path)
    assert len(os.pread(piece.fd, piece.length, piece.offset)) == piece.length


def test_internal_batches_are_not_looked_into(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    info = log.append_internal(bytes(batch("a", "b", is_control=True)), leader_epoch=4, now_ms=NOW)
    assert info[:2] == (0, 1)
    assert log.epochs.entries == [(4, 0)]


class TearingDisk(Disk):
    """The next `torn` writes stop halfway."""

    torn = 0

    def pwrite(self, fd: int, data: Any, offset: int) -> None:
        if self.torn:
            self.torn -= 1
            super().pwrite(fd, data[: len(data) // 2], offset)
            raise OSError(28, os.strerror(28))
        super().pwrite(fd, data, offset)


def test_a_torn_write_leaves_nothing_behind(tmp_path: pathlib.Path) -> None:
    disk = TearingDisk()
    log = open_log(tmp_path, SMALL, disk=disk)
    append(log, "one")
    disk.torn = 1
    with pytest.raises(NoSpaceLeft):
        append(log, "x" * 200)
    log.close()
    log = open_log(tmp_path, SMALL, is_clean=True)
    append(log, "two")
    assert contents(log) == [(0, "one"), (1, "two")]


def test_a_log_that_is_gone_is_not_flushed(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "one")
    log.is_gone = True
    assert log.begin_flush() is None


def test_a_new_log_takes_its_parent_along(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "one")
    job = log.begin_flush()
    assert job is not None
    assert job.directories == [str(tmp_path / "t-0"), str(tmp_path)]
    append(log, "two")
    job = log.begin_flush()
    assert job is not None
    assert not job.directories


@pytest.mark.parametrize("life", ["same", "clean", "crashed"])
def test_a_first_batch_larger_than_asked_for_is_whole(tmp_path: pathlib.Path, life: str) -> None:
    log = open_log(tmp_path)
    append(log, "small")
    append(log, "x" * 5000)
    append(log, "small")
    if life != "same":
        log.close()
        log = open_log(tmp_path, is_clean=life == "clean")
    piece = log.read(1, max_bytes=100, max_offset=3, at_least_one=True)
    assert 5000 < piece.size < 5200
    assert log.read(1, max_bytes=100, max_offset=3, at_least_one=False).size == 100
    assert log.read(2, max_bytes=100, max_offset=3, at_least_one=True).size < 100


def test_files_of_old_segments_are_let_go_and_opened_again(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 30)
    log.flush()
    before = contents(log)

    def open_files() -> int:
        links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
        return sum(os.path.islink(one) and str(tmp_path) in os.readlink(one) for one in links)

    assert open_files() == len(log.segments) > 3
    log.let_go_of_files()
    assert open_files() == 1, "the segment that is written"
    assert contents(log) == before
