"""Indexes of a segment that was found on disk: what is trusted, what is made anew."""
from __future__ import annotations

import os
import pathlib
import random

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.log import Log
from tests.storage.logs import NOW, append, contents, filled, open_log

SMALL = TopicConfig(segment_bytes=2000, index_interval_bytes=100)


def look_up_everything(log: Log) -> None:
    """Every offset and every timestamp, through the indexes."""
    for offset, value in contents(log):
        index = int(value.split()[1])
        assert contents(log, offset)[0] == (offset, value)
        found = log.offset_for_timestamp(NOW + index)
        assert found is not None
        assert (found.offset, found.timestamp) == (offset, NOW + index)


@pytest.mark.parametrize("seed", range(4))
def test_index_files_that_are_damaged_or_gone_are_made_anew(
    tmp_path: pathlib.Path, seed: int
) -> None:
    dice = random.Random(seed)
    for trial in range(12):
        path = tmp_path / str(trial)
        log = filled(path, 60, SMALL)
        point = dice.choice((0, 30, 60))
        if dice.random() < 0.5:
            log.flush()
            log.end()
        else:
            log._save()
        for name in os.listdir(log.directory):
            if name.endswith("index") and dice.random() < 0.7:
                file = pathlib.Path(log.directory, name)
                size = file.stat().st_size
                fate = dice.randrange(4)
                if fate == 0:
                    file.unlink()
                elif fate == 1:
                    file.write_bytes(b"")
                elif fate == 2:
                    file.write_bytes(file.read_bytes()[: size // 2] + bytes(4096))
                else:
                    file.write_bytes(bytes(size))
        again = open_log(path, SMALL, recovery_point=point)
        assert again.log_end_offset == 60
        look_up_everything(again)
        append(again, "value 60", now=NOW + 60)
        look_up_everything(again)
        again.close()
        look_up_everything(open_log(path, SMALL, is_clean=True))


def test_a_later_timestamp_before_the_last_entry_is_not_forgotten(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, TopicConfig(index_interval_bytes=100))
    append(log, "value 0", now=NOW + 1000)
    for index in range(20):
        append(log, f"value {index}", now=NOW + index)
    log.flush()
    log._save()
    again = open_log(tmp_path, TopicConfig(index_interval_bytes=100), recovery_point=21)
    known = again.segments[-1].indexes
    assert (known.max_timestamp, known.offset_of_max) == (NOW + 1000, 0)


def test_segments_without_any_timestamps_are_not_made_anew(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(tmp_path, SMALL)
    for index in range(60):
        append(log, f"value {index}", at=-1)
    assert len(log.segments) > 2
    log.close()
    again = open_log(tmp_path, SMALL, is_clean=True)
    assert [one.max_timestamp for one in again.segments] == [-1] * len(log.segments)
    assert [offset for offset, _ in contents(again)] == list(range(60))
    assert "made anew" not in caplog.text
    closed = again.segments[0]
    assert len(closed.indexes.offset_index.file) > 2
