"""What one flush of a log has to sync: handed out by the log, run elsewhere, given back."""
from __future__ import annotations

from typing import NamedTuple

from fastbroker.storage.disk import Disk
from fastbroker.storage.segment import OpenFile


class DirtyRange(NamedTuple):
    """Bytes [position, position + size) of a segment that were not flushed yet: whole batches,
    with offsets below `end_offset`."""

    file: OpenFile
    base_offset: int  # of the segment
    position: int
    size: int
    end_offset: int


class FlushJob(NamedTuple):
    """What must be synced for everything below `offset` to be on the medium.

    ranges: what was written since the flush before this one; in its files, or in the journal.
    files: those of `ranges`, and those whose bytes only the journal has so far.
    paths, directories: small files and names, which the journal does not know.
    may_be_journaled: `ranges` may go to the journal and `files` be left for later.
    cuts: how often the log had been cut.
    """

    disk: Disk
    ranges: list[DirtyRange]
    files: list[OpenFile]  # kept open by being here
    paths: list[str]
    directories: list[str]
    offset: int
    may_be_journaled: bool
    cuts: int

    def descriptors(self, *, with_files: bool = True) -> tuple[list[tuple[int, bool]], list[int]]:
        """What to sync, as (fd, whether it is a directory), and which of the fds are to be closed
        afterwards. Raises OSError."""
        opened: list[int] = []
        try:
            for path in self.paths:
                opened.append(self.disk.open(path, write=False))
            files = [(file.fd, False) for file in self.files] if with_files else []
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
