"""What one flush of a log has to sync: handed out by the log, run elsewhere, given back."""
from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from fastbroker.storage.batch_file import OpenFile
from fastbroker.storage.disk import Disk


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
    number: of the log's jobs, which are counted from 1.
    """

    disk: Disk
    ranges: list[DirtyRange]
    files: list[OpenFile]  # kept open by being here
    paths: list[str]
    directories: list[str]
    offset: int
    may_be_journaled: bool
    number: int

    def open_names(self) -> list[tuple[int, bool]]:
        """Descriptors of `paths` and `directories`, to be synced and then closed: (fd, whether it
        is a directory). Raises OSError."""
        opened: list[tuple[int, bool]] = []
        try:
            for path in self.paths:
                with suppress(FileNotFoundError):  # dropped with its segment
                    opened.append((self.disk.open(path, write=False), False))
            for directory in self.directories:
                opened.append((self.disk.open(directory, write=False), True))
        except OSError:
            for fd, _ in opened:
                self.disk.close(fd)
            raise
        return opened

    def run(self) -> None:
        """Sync, here and now. Raises OSError: the bytes may be lost, never try again."""
        for file in self.files:
            self.disk.sync(file.fd)
        for path in self.paths:
            with suppress(FileNotFoundError):
                self.disk.sync_file(path)
        for directory in self.directories:
            self.disk.sync_directory(directory)
