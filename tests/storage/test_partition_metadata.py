"""Whose a directory is: told from the first flush on, and what is done with one that does not."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaStorageError
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.partition_metadata import METADATA_FILE, topic_id_text
from fastbroker.uuids import uuid_text
from tests.storage.log_dirs import crash, started
from tests.storage.logs import NOW, TP, append, contents

TOPIC, OTHER = b"1" * 16, b"2" * 16
LOST = {"gone": None, "empty": b"", "zeros": bytes(44), "torn": b"version: 0\ntopic_id: MTEx\0\0\0"}


class CountingDisk(Disk):
    """Counts what the calling thread waits for."""

    syncs = 0

    def sync(self, fd: int) -> None:
        self.syncs += 1
        super().sync(fd)

    def sync_directory(self, path: str) -> None:
        self.syncs += 1
        super().sync_directory(path)

    def replace_file(self, path: str, data: bytes) -> None:
        self.syncs += 1
        super().replace_file(path, data)


def opened(directory: LogDir, topic_id: bytes = TOPIC) -> Log:
    return directory.open_log(TP, topic_id, TopicConfig(), NOW)


def lose(log: Log, how: str) -> None:
    path, left = pathlib.Path(log.directory, METADATA_FILE), LOST[how]
    path.unlink()
    if left is not None:
        path.write_bytes(left)


def strays(directory: LogDir) -> list[str]:
    return [name for name in os.listdir(directory.path) if name.endswith("-stray")]


def test_a_first_batch_syncs_nothing_and_its_flush_everything(tmp_path: pathlib.Path) -> None:
    disk = CountingDisk()
    directory = started(tmp_path, disk)
    disk.syncs = 0
    log = opened(directory)
    append(log, "a")
    assert disk.syncs == 0
    job = log.begin_flush()
    assert job is not None
    assert job.paths == [os.path.join(log.directory, METADATA_FILE)]
    assert job.directories == [log.directory, directory.path]


@pytest.mark.parametrize("how", list(LOST))
def test_what_was_never_flushed_may_be_of_anybody(
    tmp_path: pathlib.Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = started(tmp_path)
    log = opened(directory)
    append(log, "of the first topic")
    lose(log, how)
    crash(directory)
    directory = started(tmp_path)
    log = opened(directory, OTHER)
    assert log.log_end_offset == 0
    (stray,) = strays(directory)
    assert os.path.getsize(os.path.join(directory.path, stray, f"{0:020}.log"))
    assert "nothing in it was ever acknowledged" in caplog.text
    append(log, "of the second")
    assert topic_id_text(directory.disk, log.directory) == uuid_text(OTHER)


@pytest.mark.parametrize("known_by", ["recovery point", "epochs", "clean end"])
@pytest.mark.parametrize("how", list(LOST))
def test_what_was_flushed_is_kept_whatever_became_of_the_file(
    tmp_path: pathlib.Path, how: str, known_by: str
) -> None:
    """Not a power cut has lost it: it had been synced."""
    directory = started(tmp_path)
    log = opened(directory)
    append(log, "a")
    log.flush()
    if known_by == "clean end":
        directory.close(1)
    elif known_by == "recovery point":
        directory.write_recovery_points()
        os.remove(log.epochs.path)
    lose(log, how)
    if known_by != "clean end":
        crash(directory)
    directory = started(tmp_path)
    if how == "torn":
        with pytest.raises(KafkaStorageError, match="copy the file of another partition"):
            opened(directory)
    else:
        log = opened(directory)
        assert contents(log) == [(0, "a")]
        assert topic_id_text(directory.disk, log.directory) == uuid_text(TOPIC)
    assert strays(directory) == []


def test_a_file_of_epochs_is_not_written_before_the_first_flush(tmp_path: pathlib.Path) -> None:
    """It says that there was one."""
    log = opened(started(tmp_path))
    append(log, "a")
    append(log, "b")
    assert not log.save_when_due()
    assert not os.path.exists(log.epochs.path)
    log.truncate_to(1)
    job = log.begin_flush()  # by the epochs the replay of the journal knows what was cut
    assert job is not None
    assert os.path.exists(log.epochs.path)
    assert job.paths == sorted([log.epochs.path, os.path.join(log.directory, METADATA_FILE)])
    job.run()
    log.end_flush(job)
    append(log, "c", epoch=3)
    assert log.save_when_due()
