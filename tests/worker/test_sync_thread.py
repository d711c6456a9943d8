"""The thread that syncs: what it was given, in order, and how each went."""
from __future__ import annotations

import errno
import os
import pathlib
import select
import threading

import pytest

from fastbroker._c.checksum import crc32c
from fastbroker._c.sync_thread import CRC_AT, FRAME_ALIGN, SyncThread

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


def test_frames_are_copied_from_files_and_written_whole(tmp_path: pathlib.Path) -> None:
    thread = SyncThread()
    source = os.open(tmp_path / "source", os.O_RDWR | os.O_CREAT)
    journal = os.open(tmp_path / "journal", os.O_RDWR | os.O_CREAT)
    os.write(source, b"0123456789")
    os.write(journal, b"\xff" * 3 * FRAME_ALIGN)
    head = b"head\0\0\0\0more"
    frames = [
        (0, head, [(source, 2, 3), (source, 0, 2)]),
        (FRAME_ALIGN, head, [(source, 8, 5)]),
        (2 * FRAME_ALIGN, head, []),
    ]
    thread.begin([(source, 0)], journal, frames)
    assert wait(thread) == [0, 0, 0, errno.ENODATA, 0]
    written = pathlib.Path(tmp_path / "journal").read_bytes()
    for number, tail in enumerate((b"23401", b"89\0\0\0", b"")):
        found = written[number * FRAME_ALIGN : (number + 1) * FRAME_ALIGN]
        assert found[:4] == b"head"
        assert found[8:] == (b"more" + tail).ljust(FRAME_ALIGN - 8, b"\0")
        crc = crc32c(b"more" + tail).to_bytes(4, "big")
        assert found[CRC_AT : CRC_AT + 4] == crc
    thread.close()
    for fd in (source, journal):
        os.close(fd)


def test_what_fails_of_a_journal_is_told_behind_the_files(tmp_path: pathlib.Path) -> None:
    thread = SyncThread()
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    reading, writing = os.pipe()
    thread.begin([(file, 0)], reading, [(0, b"\0" * 8, [(writing, 0, 5)])])
    assert wait(thread) == [0, errno.ESPIPE, errno.ESPIPE]
    full = os.open("/dev/full", os.O_RDWR)
    thread.begin([], full, [(0, b"\0" * 8, [])])
    assert wait(thread) == [errno.ENOSPC]
    thread.begin([(file, 2)])
    assert wait(thread) == [0], "the file system is synced"
    thread.close()
    for fd in (file, reading, writing, full):
        os.close(fd)
