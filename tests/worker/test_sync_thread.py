"""The thread that syncs: what it was given, in order, and how each went."""
from __future__ import annotations

import errno
import os
import pathlib
import select
import threading

import pytest

from fastbroker._c.sync_thread import SyncThread

DEADLINE_MS = 5000


def wait(thread: SyncThread) -> list[int]:
    poll = select.poll()
    poll.register(thread.done_fd, select.POLLIN)
    assert poll.poll(DEADLINE_MS), "the round has not ended"
    return thread.end()


def test_rounds_of_files_and_directories_are_synced(tmp_path: pathlib.Path) -> None:
    thread = SyncThread()
    directory = os.open(tmp_path, os.O_RDONLY)
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(file, b"x" * 100_000)
    for files in ([(file, False)], [], [(file, False), (directory, True)] * 50):
        thread.begin(files)
        assert wait(thread) == [0] * len(files)
    thread.close()
    thread.close()  # a second time does nothing
    os.close(file)
    os.close(directory)


def test_each_failure_is_told_at_its_place(tmp_path: pathlib.Path) -> None:
    thread = SyncThread()
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    reading, writing = os.pipe()  # cannot be synced
    thread.begin([(file, False), (reading, False), (file, False), (-1, True)])
    assert wait(thread) == [0, errno.EINVAL, 0, errno.EBADF]
    thread.close()
    for fd in (file, reading, writing):
        os.close(fd)


def test_a_round_is_run_before_the_thread_ends(tmp_path: pathlib.Path) -> None:
    before = threading.active_count()
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    for _ in range(50):
        thread = SyncThread()
        thread.begin([(file, False)])
        thread.close()
    os.close(file)
    assert threading.active_count() == before, "it is no thread of Python's"


def test_two_rounds_at_once_are_a_bug(tmp_path: pathlib.Path) -> None:
    thread = SyncThread()
    thread.begin([])
    with pytest.raises(AssertionError):
        thread.begin([])
    wait(thread)
    thread.close()
