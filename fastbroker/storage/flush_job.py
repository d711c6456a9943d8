"""What one flush of a log has to sync: handed out by the log, run elsewhere, given back."""
from __future__ import annotations

from typing import NamedTuple

from fastbroker.storage.disk import Disk
from fastbroker.storage.segment import OpenFile


class FlushJob(NamedTuple):
    """What must be synced for everything below `offset` to be on the medium."""

    disk: Disk
    files: list[OpenFile]  # kept open by being here
    paths: list[str]
    directories: list[str]
    offset: int

    def descriptors(self) -> tuple[list[tuple[int, bool]], list[int]]:
        """What to sync, as (fd, whether it is a directory), and which of the fds are to be closed
        afterwards. Raises OSError."""
        opened: list[int] = []
        try:
            for path in self.paths:
                opened.append(self.disk.open(path, write=False))
            files = [(file.fd, False) for file in self.files]
            files += [(fd, False) for fd in opened]
            for directory in self.directories:
                opened.append(self.disk.open(directory, write=False))
                files.append((opened[-1], True))
        except OSError:
            for fd in opened:
                self.disk.close(fd)
            raise
        return files, opened

    def run(self) -> None:
        """Sync, here and now. Raises OSError: the bytes may be lost, never try again."""
        for file in self.files:
            self.disk.sync(file.fd)
        for path in self.paths:
            fd = self.disk.open(path, write=False)
            try:
                self.disk.sync(fd)
            finally:
                self.disk.close(fd)
        for directory in self.directories:
            self.disk.sync_directory(directory)
