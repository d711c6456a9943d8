"""A broker's directory over the deaths of its topics: a name used again begins anew."""
from __future__ import annotations

import contextlib
import os
import pathlib
import threading

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import NoSpaceLeft
from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import read_offsets, write_offsets
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import SYNC_ALL_FROM, LogDir
from fastbroker.storage.offset_checkpoints import LOG_STARTS, RECOVERY_POINTS
from tests.storage.log_dirs import crash, started
from tests.storage.logs import NOW, TP, append, contents

FIRST, SECOND = b"1" * 16, b"2" * 16


def opened(directory: LogDir, topic_id: bytes, partition: TopicPartition = TP) -> Log:
    return directory.open_log(partition, topic_id, TopicConfig(), NOW)


def fill(log: Log, count: int) -> None:
    for number in range(count):
        append(log, f"{number}")
    log.flush()
    if log.save_when_due():
        log.epochs.synced()


def said(directory: LogDir, name: str) -> dict[TopicPartition, int]:
    return read_offsets(directory.disk, os.path.join(directory.path, name))


def grown_and_checkpointed(path: pathlib.Path) -> LogDir:
    directory = started(path)
    log = opened(directory, FIRST)
    fill(log, 20)
    log.advance_start(5)
    directory.write_recovery_points()
    directory.write_log_starts()
    return directory


def test_a_log_made_anew_begins_at_0_and_keeps_all_after_a_crash(tmp_path: pathlib.Path) -> None:
    directory = grown_and_checkpointed(tmp_path)
    directory.forget_log(TP)
    fill(opened(directory, SECOND), 10)
    crash(directory)  # before the next checkpoint
    assert said(directory, LOG_STARTS) == said(directory, RECOVERY_POINTS) == {}
    again = opened(started(tmp_path), SECOND)
    assert again.log_start_offset == 0
    assert len(contents(again)) == 10


def test_so_does_one_whose_topic_was_made_anew_while_the_broker_was_away(
    tmp_path: pathlib.Path
) -> None:
    crash(grown_and_checkpointed(tmp_path))
    directory = started(tmp_path)
    fresh = opened(directory, SECOND)
    assert (fresh.log_start_offset, fresh.log_end_offset) == (0, 0)
    fill(fresh, 10)
    crash(directory)
    assert len(contents(opened(started(tmp_path), SECOND))) == 10
    strays = [name for name in os.listdir(directory.path) if name.endswith("-stray")]
    assert len(strays) == 1


def test_checkpoints_of_others_are_kept(tmp_path: pathlib.Path) -> None:
    directory = grown_and_checkpointed(tmp_path)
    other, sibling = TopicPartition("other", 0), TopicPartition(TP.topic, 1)
    fill(opened(directory, b"3" * 16, other), 3)
    fill(opened(directory, FIRST, sibling), 4)
    directory.write_recovery_points()
    crash(directory)
    directory = started(tmp_path)
    opened(directory, SECOND)  # the first; the others have not been opened yet
    assert said(directory, RECOVERY_POINTS) == {other: 3, sibling: 4}
    for partition in (TP, sibling):
        if partition in directory.logs:
            directory.forget_log(partition)


def test_nothing_is_remembered_of_a_closed_log_whose_topic_is_deleted(
    tmp_path: pathlib.Path
) -> None:
    directory = started(tmp_path)
    log = opened(directory, FIRST)
    fill(log, 3)
    log.epochs.synced()
    directory.close_log(TP)
    directory.forget_log(TP)
    names = [name for name, one in vars(directory).items() if isinstance(one, set | dict) and one]
    assert not names


def test_one_write_forgets_all_partitions_of_a_topic(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = started(tmp_path)
    partitions = [TopicPartition("many", number) for number in range(20)]
    for partition in partitions:
        fill(opened(directory, FIRST, partition), 1)
    directory.write_recovery_points()
    for partition in partitions:
        directory.forget_log(partition)
    written = []
    write = directory.disk.replace_file
    monkeypatch.setattr(
        directory.disk, "replace_file", lambda path, data: (written.append(path), write(path, data))
    )
    for partition in partitions:
        opened(directory, SECOND, partition)
    assert len([path for path in written if path.endswith(RECOVERY_POINTS)]) == 1


def test_a_name_is_not_used_again_while_checkpoints_tell_of_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    directory = grown_and_checkpointed(tmp_path)
    directory.forget_log(TP)
    with monkeypatch.context() as patch:
        patch.setattr(directory.disk, "replace_file", full)
        with pytest.raises(NoSpaceLeft, match="No space left"):
            opened(directory, SECOND)
    assert TP not in directory.logs
    assert opened(directory, SECOND).log_start_offset == 0


@pytest.mark.parametrize("is_its_first", [False, True])
def test_a_checkpoint_on_its_way_brings_nothing_back(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_its_first: bool
) -> None:
    if is_its_first:
        directory = started(tmp_path)
        opened(directory, FIRST)
    else:
        directory = grown_and_checkpointed(tmp_path)
    fill(directory.logs[TP], 1)
    began, go = threading.Event(), threading.Event()
    write = directory.disk.replace_file

    def slow(path: str, data: bytes) -> None:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            assert go.wait(10)
        write(path, data)

    monkeypatch.setattr(directory.disk, "replace_file", slow)
    thread = threading.Thread(target=directory.write_recovery_points)
    thread.start()
    assert began.wait(10)
    directory.forget_log(TP)
    threading.Timer(0.05, go.set).start()
    opened(directory, SECOND)  # waits for the write that is under way
    thread.join()
    assert said(directory, RECOVERY_POINTS) == {}


class Listed(dict[TopicPartition, Log]):
    """Open logs, one of which is closed just before or just after they are listed."""

    def __init__(self, directory: LogDir, *, is_before: bool) -> None:
        super().__init__(directory.logs)
        self.directory, self.is_before = directory, is_before

    def items(self):  # type: ignore[no-untyped-def]
        if self.is_before:
            self.close()
        found = list(super().items())
        self.close()
        return found

    def close(self) -> None:
        if TP in self:
            self.directory.close_log(TP)


@pytest.mark.parametrize("is_before", [False, True])
def test_a_log_that_is_closed_meanwhile_is_in_the_checkpoints(
    tmp_path: pathlib.Path, is_before: bool
) -> None:
    directory = grown_and_checkpointed(tmp_path)
    for write in (directory.write_recovery_points, directory.write_log_starts):
        if TP not in directory.logs:
            opened(directory, FIRST)
        directory.logs = directory.checkpoints.logs = Listed(directory, is_before=is_before)
        write()
        assert TP not in directory.logs
    assert said(directory, RECOVERY_POINTS) == {TP: 20}
    assert said(directory, LOG_STARTS) == {TP: 5}


def test_names_that_are_as_long_as_can_be(tmp_path: pathlib.Path) -> None:
    directory = started(tmp_path)
    partition = TopicPartition("t" * 249, 1234)
    fill(opened(directory, FIRST, partition), 1)
    renamed = os.path.basename(directory.forget_log(partition))
    assert len(renamed) == 255
    assert "-1234." in renamed
    assert renamed.endswith("-delete")
    fill(opened(directory, SECOND, partition), 1)
    crash(directory)
    directory = started(tmp_path)
    assert renamed not in os.listdir(directory.path), "what was deleted is gone after a start"
    opened(directory, FIRST, partition)
    (stray,) = [name for name in os.listdir(directory.path) if name.endswith("-stray")]
    assert len(stray) == 255


def test_what_a_crash_in_a_deletion_leaves_goes_at_the_next_opening(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever between the renames it comes."""
    for after in range(12):
        path = tmp_path / str(after)
        path.mkdir()
        directory = started(path)
        log = opened(directory, FIRST)
        fill(log, 3)
        log.roll(NOW)
        fill(log, 3)
        log.config = TopicConfig(retention_bytes=log.segments[1].size)
        renamed = 0

        def rename(source: str, target: str, limit: int = after) -> None:
            nonlocal renamed
            if renamed == limit:
                raise KeyboardInterrupt
            renamed += 1
            os.replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(directory.disk, "rename", rename)
            with contextlib.suppress(KeyboardInterrupt):
                log.retain(NOW, log.log_end_offset)
        crash(directory)
        again = opened(started(path), FIRST)
        assert contents(again)[-3:] == [(3, "0"), (4, "1"), (5, "2")]
        names = {name for name in os.listdir(again.directory) if name[:1].isdigit()}
        bases = [segment.base_offset for segment in again.segments]
        for name in names:
            assert int(name.split(".")[0]) in bases, f"{name} belongs to no segment"
            assert not name.endswith(".deleted")
        if renamed < after:
            break
    else:
        raise AssertionError("a deletion renames more than that?")


def test_a_start_is_found_again_in_epochs_too(tmp_path: pathlib.Path) -> None:
    directory = started(tmp_path)
    log = opened(directory, FIRST)
    for epoch in range(3):
        append(log, "v", epoch=epoch)
    log.flush()
    write_offsets(directory.disk, os.path.join(directory.path, LOG_STARTS), {TP: 2})
    crash(directory)
    again = opened(started(tmp_path), FIRST)
    assert again.epochs.entries == [(2, 2)]


def test_where_a_closed_log_begins_and_ends(tmp_path: pathlib.Path) -> None:
    directory = started(tmp_path)
    assert (directory.start_of(TP), directory.end_of(TP)) == (0, 0)
    log = opened(directory, FIRST)
    fill(log, 20)
    log.roll(NOW)
    log.advance_start(25)
    assert (directory.start_of(TP), directory.end_of(TP)) == (20, 20)
    fill(log, 20)
    log.advance_start(25)
    open_ones = (directory.start_of(TP), directory.end_of(TP))
    log.close()
    directory.close_log(TP)
    assert (directory.start_of(TP), directory.end_of(TP)) == open_ones == (25, 40)
    directory.close(7)
    again = LogDir(directory.path, disk=directory.disk, node_id=1)
    again.open()
    assert (again.start_of(TP), again.end_of(TP)) == (25, 40), "after a clean stop it is known"
    crash(again)
    unclean = LogDir(directory.path, disk=directory.disk, node_id=1)
    unclean.open()
    assert unclean.end_of(TP) is None, "what a crash has left is looked through first"


class CountingDisk(Disk):
    """Counts syncs of single files."""

    def __init__(self) -> None:
        self.syncs = 0

    def sync(self, fd: int) -> None:
        self.syncs += 1
        super().sync(fd)


@pytest.mark.parametrize("count", [3, SYNC_ALL_FROM])
def test_many_logs_are_closed_with_few_syncs(tmp_path: pathlib.Path, count: int) -> None:
    disk = CountingDisk()
    directory = started(tmp_path, disk)
    partitions = [TopicPartition("many", number) for number in range(count)]
    for partition in partitions:
        append(directory.open_log(partition, b"\x07" * 16, TopicConfig(), NOW), "kept")
    before = disk.syncs
    directory.close(1)
    assert (disk.syncs - before < count) == (count >= SYNC_ALL_FROM)
    again = started(tmp_path)
    for partition in partitions:
        log = again.open_log(partition, b"\x07" * 16, TopicConfig(), NOW)
        assert contents(log) == [(0, "kept")]
        assert log.recovery_point == 1, "nothing is read again"
    again.close(2)
