"""Opening a log: what is trusted, what is checked, what is made anew."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import OutOfOrderSequenceNumber
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import AppendInfo, Log
from tests.storage.logs import NOW, append, contents, filled, open_log

SMALL = TopicConfig(segment_bytes=2000, index_interval_bytes=100)


class CountingDisk(Disk):
    """Counts the bytes that are read."""

    def __init__(self) -> None:
        self.read = 0

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = super().pread(fd, size, offset)
        self.read += len(data)
        return data


def test_a_log_opened_from_a_snapshot_knows_the_last_five_batches(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)

    def send(to: Log, sequence: int) -> AppendInfo:
        return append(to, "v", producer_id=1, producer_epoch=0, base_sequence=sequence)

    for sequence in range(8):
        send(log, sequence)
    log.close()
    for again in (open_log(tmp_path, is_clean=True), open_log(tmp_path, recovery_point=8)):
        assert [send(again, n)[:2] for n in range(3, 8)] == [(n, n) for n in range(3, 8)]
        assert again.log_end_offset == 8
        with pytest.raises(OutOfOrderSequenceNumber):
            send(again, 2)


def test_only_the_tail_is_read(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    for index in range(300):
        append(log, "x" * 10_000, now=NOW + index)
    log.flush()
    log._save()
    append(log, "not synced")
    disk = CountingDisk()
    again = open_log(tmp_path, disk=disk, recovery_point=log.flushed_offset)
    assert again.log_end_offset == 301
    assert disk.read < 1_500_000  # of 3 MB: the tail, and headers to know producers by
    disk.read = 0
    assert len(again.segments[-1].indexes.offset_index.file) >= 298


def test_a_damaged_batch_below_the_recovery_point_stays(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = filled(tmp_path, 10, SMALL)
    log.flush()
    path = log.segments[0].path
    with open(path, "r+b") as file:
        file.seek(log.segments[0].locate(4).position + 70)  # type: ignore[union-attr]
        file.write(b"\xff\xff")
    again = open_log(tmp_path, SMALL, recovery_point=8)
    assert again.log_end_offset == 10
    assert "offsets 4 to 4, is damaged" in caplog.text
    with open(path, "r+b") as file:
        file.seek(log.segments[0].locate(9).position + 70)  # type: ignore[union-attr]
        file.write(b"\xff\xff")
    assert open_log(tmp_path, SMALL, recovery_point=8).log_end_offset == 9


def test_damage_in_a_closed_segment_does_not_keep_a_log_from_opening(
    tmp_path: pathlib.Path,
) -> None:
    log = open_log(tmp_path)
    for sequence in range(8):
        append(log, "v", producer_id=1, producer_epoch=0, base_sequence=sequence)
    log.roll(NOW)
    append(log, "v", producer_id=1, producer_epoch=0, base_sequence=8)
    log.flush()
    with open(log.segments[0].path, "r+b") as file:
        file.seek(8)  # the first batch's size
        file.write(b"\0\0\0\0")
    again = open_log(tmp_path, recovery_point=9)
    assert (again.log_start_offset, again.log_end_offset) == (0, 9)
    assert list(again.producers.producers) == [1]


def cleaned_as_by_kafka(path: pathlib.Path) -> tuple[list[int], int]:
    """A log whose closed segments lack their last batches, one of them all; the offsets that are
    left, and the base of the active segment."""
    config = TopicConfig(index_interval_bytes=100)
    log = open_log(path, config)
    for index in range(40):
        if index % 8 == 0 and index > 0:
            log.roll(NOW)
        append(log, f"value {index}", now=NOW + index)
    log.flush()
    left = set(range(40))
    for number, lost in ((0, 1), (1, 8), (2, 3)):
        segment = log.segments[number]
        gone = range(segment.base_offset + 8 - lost, segment.base_offset + 8)
        os.truncate(segment.path, segment.locate(gone[0]).position)  # type: ignore[union-attr]
        for file in (segment.indexes.offset_index.file, segment.indexes.time_index.file):
            os.unlink(file.path)
        left -= set(gone)
    return sorted(left), log.segments[-1].base_offset


@pytest.mark.parametrize(
    "how", [
        {"is_clean": True}, {"recovery_point": 32}, {"recovery_point": 40},
        {"recovery_point": 24}, {"recovery_point": 0, "compacted_to": 32},
        {"recovery_point": 10, "compacted_to": 24},
    ],
)  # fmt: skip
def test_segments_that_compaction_made_shorter_are_followed_by_the_next(
    tmp_path: pathlib.Path, how: dict[str, int]
) -> None:
    left, active = cleaned_as_by_kafka(tmp_path)
    for _ in range(2):
        log = open_log(tmp_path, SMALL, **how)
        assert [offset for offset, _ in contents(log)] == left
        for offset in range(40):
            wanted = next(one for one in left if one >= offset)
            assert contents(log, offset)[0] == (wanted, f"value {wanted}")
        assert log.segments[-1].base_offset == active
        assert log.log_end_offset == 40


def test_what_is_missing_elsewhere_ends_the_log(tmp_path: pathlib.Path) -> None:
    """The third segment is not known to be compacted; or the second was not whole."""
    cleaned_as_by_kafka(tmp_path / "gap")
    assert open_log(tmp_path / "gap", SMALL, compacted_to=20).log_end_offset == 21
    cleaned_as_by_kafka(tmp_path / "torn")
    torn = tmp_path / "torn" / "t-0" / f"{16:020}.log"
    os.truncate(torn, torn.stat().st_size - 1)
    assert open_log(tmp_path / "torn", SMALL, compacted_to=32).log_end_offset == 20


def test_a_snapshot_above_the_recovery_point_is_not_believed(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "a", producer_id=1, producer_epoch=0, base_sequence=0)
    log.flush()
    append(log, "b", producer_id=1, producer_epoch=0, base_sequence=1)
    log._save()
    os.truncate(log.segments[0].path, log.segments[0].size - 1)
    again = open_log(tmp_path, recovery_point=1)
    assert again.log_end_offset == 1
    assert again.producers.producers[1].last_sequence == 0


def test_a_retired_segment_is_not_made_again(tmp_path: pathlib.Path) -> None:
    log = filled(tmp_path, 60, SMALL)
    piece = log.read(0, max_bytes=1000, max_offset=60, at_least_one=True)
    log.flush()
    log.advance_start(log.segments[1].base_offset)
    retired = log.retain(NOW, 60)
    assert any(path.endswith(".log.deleted") for path in retired)
    with pytest.raises(FileNotFoundError):
        piece.read_bytes()
    assert not os.path.exists(piece.segment.path)
