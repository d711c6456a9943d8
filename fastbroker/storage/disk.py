"""The only door to files: every call of the storage floor goes through a Disk.

Tests put a faulty one in its place. Offsets and sizes are bytes. Errors are the OSErrors of the
calls; what they mean for a partition is decided above.
"""
from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from struct import Struct as Layout

from fastbroker._c.sync_thread import sync_file_system

Buffer = bytes | bytearray | memoryview
_FLOCK = Layout("hhqqixxxx")  # Linux's struct flock: type, whence, start, length, process
MAP_MIN = 65_536
FOLIO_MAX_BYTES = 2 << 20  # pages that the page cache keeps and forgets together
READ_BYTES = 4096  # at first, of a file that is read whole


def _kernel() -> tuple[int, ...]:
    numbers = os.uname().release.split("-", 1)[0].split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())


class Disk:
    """The real one. Stateless; one for each process.

    reports_all_errors: a sync of a file system tells of every write there that failed since its
    fd was opened. Before Linux 5.8 it does not.
    """

    reports_all_errors = _kernel() >= (5, 8)

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        """A file descriptor to read and, when `write`, to write `path`."""
        flags = os.O_CLOEXEC | (os.O_RDWR if write else os.O_RDONLY)
        return os.open(path, flags | (os.O_CREAT if create else 0), 0o644)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        data = os.pread(fd, size, offset)
        while 0 < len(data) < size:
            more = os.pread(fd, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        """All of `data` at `offset`."""
        written = os.pwrite(fd, data, offset)
        while written < len(data):
            data = memoryview(data)[written:]
            offset += written
            written = os.pwrite(fd, data, offset)

    def sync(self, fd: int) -> None:
        """Data and size of the file are on the medium when this returns."""
        os.fdatasync(fd)

    def sync_file_system(self, fd: int) -> None:
        """As `sync`, of everything on the file system of `fd`, a file or directory."""
        sync_file_system(fd)

    def sync_file(self, path: str) -> None:
        """`sync` of a file that nobody holds open."""
        fd = self.open(path, write=False)
        try:
            self.sync(fd)
        finally:
            self.close(fd)

    def forget_cached(self, fd: int, offset: int) -> None:
        """Have what is read from `offset` on come from the medium, but for what waits to be
        written.

        After a failed sync the kernel takes pages for written that the medium never got. It forgets
        no folio of which only a part is named.
        """
        os.posix_fadvise(fd, offset - offset % FOLIO_MAX_BYTES, 0, os.POSIX_FADV_DONTNEED)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def modified_ms(self, path: str) -> int:
        return os.stat(path).st_mtime_ns // 1_000_000

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def allocate(self, path: str, size: int) -> None:
        """Make a file of `size` bytes that takes its space up."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, size)
        finally:
            os.close(fd)

    def map(self, fd: int, size: int) -> Buffer:
        """The first `size` bytes of a file that will not change, to be read: mapped, unless they
        are few. Python's maps keep a descriptor each, and there are only so many."""
        if size <= MAP_MIN:
            return self.pread(fd, size, 0)
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))

    def read_file(self, path: str) -> bytes:
        """All of it. Most are small, and there are many of them at a start: no `open`."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, READ_BYTES)
            if len(data) < READ_BYTES:
                return data
            parts = [data]
            while data:
                data = os.read(fd, MAP_MIN)
                parts.append(data)
            return b"".join(parts)
        finally:
            os.close(fd)

    def replace_file(self, path: str, data: bytes) -> None:
        """Make `data` the content of `path`, all or nothing, on the medium when this returns."""
        fresh = path + ".tmp"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self.pwrite(fd, data, 0)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        os.replace(fresh, path)
        self.sync_directory(os.path.dirname(path))

    def write_file(self, path: str, data: bytes) -> None:
        """Make `data` the content of `path`, all or nothing for whoever reads it; a power cut may
        leave the old content, or an empty file."""
        fresh = path + ".tmp"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self.pwrite(fd, data, 0)
        finally:
            os.close(fd)
        os.replace(fresh, path)

    def sync_directory(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: str, target: str) -> None:
        os.replace(source, target)

    def remove(self, path: str) -> None:
        """Remove a file; nothing when it is not there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def remove_directory(self, path: str) -> None:
        """Remove a directory and the files in it."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(path):
                self.remove(os.path.join(path, name))
            os.rmdir(path)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def list(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def make_directory(self, path: str) -> None:
        """Make `path` with what lies above it; nothing when it is there."""
        os.makedirs(path, exist_ok=True)

    def lock(self, path: str) -> int:
        """Lock `path` for this process; the fd that holds the lock. BlockingIOError when taken."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def is_locked(self, path: str) -> bool:
        """Whether a process, a broker of ours or of Kafka's, holds the lock at `path`.

        Ours lock the whole file (flock), Java locks its bytes (fcntl). Nothing is kept or changed.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            kind = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0]
            return bool(kind != fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)

    def usable_bytes(self, path: str) -> tuple[int, int]:
        """(total, free for us) of the file system that `path` lies on."""
        stat = os.statvfs(path)
        return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
