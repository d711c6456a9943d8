"""Moving recovery points up: a full half of the commit journal is made free again."""
from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Callable

from fastbroker._c.sync_thread import DATA, FILE_SYSTEM
from fastbroker.storage.batch_file import OpenFile
from fastbroker.storage.journal import Half
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.unflushed import Mark, Unflushed
from fastbroker.worker.syncing import Syncing

POINTS_BYTES = 256 << 20  # flushed after which the points are written: about what a crash costs


class Checkpoint:
    """Owned by the worker's loop. No flush waits for it.

    thread: another than the flusher's. failed(error): a sync failed. write_points(): has the
    recovery points written, on a thread.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        thread: Syncing,
        log_dir: LogDir,
        *,
        failed: Callable[[OSError], object],
        write_points: Callable[[], object],
    ) -> None:
        self._loop, self._thread, self._log_dir = loop, thread, log_dir
        self._failed, self._write_points = failed, write_points
        # Of its own, and opened before anything is written: each is told of a failed write once.
        self._fd = log_dir.disk.open(log_dir.path, write=False)
        self._half: Half | None = None  # that is being synced
        self._marks: list[tuple[Unflushed, Mark]] = []
        self._files: list[OpenFile] = []  # kept open by being here
        self._flushed_bytes = 0
        loop.add_reader(thread.done_fd, self._end)

    def flushed(self, size: int) -> None:
        """`size` more bytes of logs were flushed."""
        self._flushed_bytes += size
        if self._flushed_bytes >= POINTS_BYTES:
            self._flushed_bytes = 0
            self._write_points()

    def look(self) -> None:
        """Begin to make the journal's full half free, if there is one."""
        half = self._log_dir.journal.full()
        if half is None or self._half is not None or self._log_dir.failure is not None:
            return
        self._half = half
        self._marks = [(log, log.mark()) for log in half.logs]
        if self._log_dir.disk.reports_all_errors:
            self._thread.begin([(self._fd, FILE_SYSTEM)])
        else:
            self._files = [file for log in half.logs for file in log.unsynced_files()]
            self._thread.begin([(file.fd, DATA) for file in self._files])

    def _end(self) -> None:
        number = next(filter(None, self._thread.end()), 0)
        half, marks = self._half, self._marks
        assert half is not None
        self._half, self._marks, self._files = None, [], []
        if self._log_dir.failure is not None:
            return  # nothing is believed any more
        if number:
            # What the half has is all there is of some writes: it stays as it is.
            self._failed(OSError(number, os.strerror(number)))
            return
        for log, mark in marks:
            log.synced(mark)
        self._log_dir.journal.freed(half)
        self.look()

    def close(self) -> None:
        """End the thread after what it is at; whoever closes the logs syncs them."""
        self._loop.remove_reader(self._thread.done_fd)
        number = next(filter(None, self._thread.close()), 0)
        self._log_dir.disk.close(self._fd)
        if number:
            self._failed(OSError(number, os.strerror(number)))
