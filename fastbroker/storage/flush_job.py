"""What one flush of a log has to sync: handed out by the log, run elsewhere, given back."""
from __future__ import annotations

from contextlib import suppress

from fastbroker._c.unflushed import Dirty, Job
from fastbroker.storage.batch_file import OpenFile


class FlushJob(Job):
    """What must be synced for everything below `offset` to be on the medium.

    log: its Unflushed.
    ranges: what was written since the flush before this one; in its files, or in the journal.
    paths, directories: small files and names, which the journal does not know.
    may_be_journaled: `ranges` may go to the journal and `files` be left for later.
    number: of the log's jobs, which are counted from 1.
    """

    __slots__ = ("_files",)

    def __init__(self, log: Dirty) -> None:
        super().__init__(log)
        self._files: list[OpenFile] | None = None

    @property
    def files(self) -> list[OpenFile]:
        """Those of `ranges`, and those whose bytes only the journal has so far; the same whenever
        it is asked for, and kept open by being here."""
        if self._files is None:
            own = [one.file for one in self.ranges]
            self._files = list(dict.fromkeys([*self.log.unsynced_files(), *own]))
        return self._files

    def open_names(self) -> list[tuple[int, bool]]:
        """Descriptors of `paths` and `directories`, to be synced and then closed: (fd, whether it
        is a directory). Raises OSError."""
        disk = self.log.disk
        opened: list[tuple[int, bool]] = []
        try:
            for path in self.paths:
                with suppress(FileNotFoundError):  # dropped with its segment
                    opened.append((disk.open(path, write=False), False))
            for directory in self.directories:
                opened.append((disk.open(directory, write=False), True))
        except OSError:
            for fd, _ in opened:
                disk.close(fd)
            raise
        return opened

    def run(self) -> None:
        """Sync, here and now. Raises OSError: the bytes may be lost, never try again."""
        disk = self.log.disk
        for file in self.files:
            disk.sync(file.fd)
        for path in self.paths:
            with suppress(FileNotFoundError):
                disk.sync_file(path)
        for directory in self.directories:
            disk.sync_directory(directory)
