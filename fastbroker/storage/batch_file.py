"""A .log file: batches, one behind the other."""
from __future__ import annotations

from collections.abc import Iterator

from fastbroker._c.buffer import FileRange
from fastbroker._c.record_batch import HEADER_BYTES, BatchHeader, CorruptBatch, read_header
from fastbroker.storage.disk import Disk

SCAN_BYTES = 4096  # read at once to find a batch near an index entry


class OpenFile:
    """An fd that is closed when nobody, no segment and no answer under way, holds it any more."""

    __slots__ = ("disk", "fd")

    def __init__(self, disk: Disk, fd: int) -> None:
        self.disk, self.fd = disk, fd

    def __del__(self) -> None:
        self.disk.close(self.fd)


class BatchFile:
    """The file at `path`, of which `size` bytes count. It is opened when first used; an open
    FileRange keeps it open, see `range`."""

    __slots__ = ("_file", "disk", "path", "size")

    def __init__(self, disk: Disk, path: str, size: int) -> None:
        self.disk, self.path, self.size = disk, path, size
        self._file: OpenFile | None = None

    @property
    def file(self) -> OpenFile:
        if self._file is None:
            # One that is not there was retired: made anew, it would be the log's at the next start.
            self._file = OpenFile(self.disk, self.disk.open(self.path))
        return self._file

    @property
    def fd(self) -> int:
        return (self._file or self.file).fd

    def view(self) -> BatchFile:
        """What is there now, for another thread: it keeps the file open, which this one need not
        have been."""
        view = BatchFile(self.disk, self.path, self.size)
        view._file = self._file or OpenFile(self.disk, self.disk.open(self.path, write=False))
        return view

    def range(self, position: int, size: int) -> FileRange:
        """The bytes [position, position + size) as a piece of a response; keeps the file open."""
        file = self.file
        return FileRange(file.fd, position, size, file)

    def read(self, position: int, size: int) -> bytes:
        return self.disk.pread(self.fd, size, position)

    def scan(self, position: int) -> bytes:
        """What is read at once to walk over batches; nothing behind the end is asked for."""
        return self.disk.pread(self.fd, min(SCAN_BYTES, self.size - position), position)

    def headers(self, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of every whole batch from `position` on; stops at one that is not."""
        while position < self.size:
            chunk = self.scan(position)
            at = 0
            while len(chunk) - at >= HEADER_BYTES:
                try:
                    header = read_header(chunk, at)
                except CorruptBatch:
                    return
                if position + at + header.size > self.size:
                    return
                yield position + at, header
                at += header.size
            if at == 0:
                return
            position += at

    def header_at(self, position: int) -> BatchHeader | None:
        """Of the batch that begins there, if one does."""
        for _, header in self.headers(position):
            return header
        return None
