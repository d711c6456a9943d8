"""A disk that can be written to without being changed.

What is written, cut, renamed or removed is remembered here and seen by later calls; the real files
stay as they are. So what the next start would do is found out by having it done: the same code, on
this. Every call of Disk has to be here, or it would reach the real files: a test sees to that.
"""
from __future__ import annotations

import os.path
from collections.abc import Sequence

from fastbroker.storage.disk import Buffer, Disk

OPEN_MAX = 64  # real files held open


class _File:
    """A file as it would be: the first `kept` bytes of the real one at `source`, then `tail`."""

    def __init__(self, source: str | None, kept: int) -> None:
        self.source, self.kept = source, kept
        self.tail = bytearray()

    @property
    def size(self) -> int:
        return self.kept + len(self.tail)


class RehearsalDisk(Disk):
    """Reads go to `real`. Memory: what is written, and a byte range that is overwritten.

    Owned by one rehearsal; close() lets the files go that were left open.
    """

    def __init__(self, real: Disk) -> None:
        self.real = real
        self._files: dict[str, _File] = {}
        self._gone: set[str] = set()
        self._directories: set[str] = set()
        self._open: dict[int, _File | str] = {}  # fd -> file, or the path of one as it was
        self._next_fd = 1 << 30  # no real one is so large
        self._real_fds: dict[str, int] = {}

    # ---- what would have changed

    def fate(self, path: str) -> str:
        """What became of a file: "kept", "cut", "changed", "removed" or "new"."""
        was_there = self.real.exists(path)
        if not self.exists(path):
            return "removed" if was_there else "kept"
        file = self._files.get(path)
        if not was_there:
            return "new" if file is not None else "kept"
        if file is None:
            return "kept"
        before = self.real.size(path)
        if file.source == path and file.size < before and not file.tail:
            return "cut"
        if file.size != before or file.source not in (None, path):
            return "changed"
        is_same = bytes(file.tail) == self._read_real(path, len(file.tail), file.kept)
        return "kept" if is_same else "changed"

    def close_all(self) -> None:
        """Let go of everything."""
        for fd in self._real_fds.values():
            self.real.close(fd)
        self._real_fds.clear()
        self._open.clear()

    # ---- files by fd

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        if not self.exists(path):
            if not create:
                raise FileNotFoundError(2, "No such file", path)
            self._put(path, _File(None, 0))
        fd = self._next_fd
        self._next_fd += 1
        self._open[fd] = self._files.get(path, path)
        return fd

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return self._read(self._behind(fd), size, offset)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        if not data:
            return
        file = self._own(fd)
        if offset < file.kept:
            file.tail[:0] = self._read(file, file.kept - offset, offset)
            file.kept = offset
        at = offset - file.kept
        if at > len(file.tail):
            file.tail += bytes(at - len(file.tail))
        file.tail[at : at + len(data)] = data

    def pwritev(self, fd: int, parts: Sequence[Buffer], offset: int) -> None:
        self.pwrite(fd, b"".join(parts), offset)

    def sync(self, fd: int) -> None:
        """Nothing: there is nothing to lose."""

    def sync_file_system(self, fd: int) -> None:
        """Nothing."""

    def forget_cached(self, fd: int, offset: int) -> None:
        """Nothing."""

    def allocate(self, path: str, size: int) -> None:
        """Nothing: space is not what is rehearsed."""

    def truncate(self, fd: int, size: int) -> None:
        file = self._own(fd)
        if size > file.size:
            self.pwrite(fd, bytes(size - file.size), file.size)
        elif size <= file.kept:
            file.kept = size
            file.tail.clear()
        else:
            del file.tail[size - file.kept :]

    def map(self, fd: int, size: int) -> Buffer:
        return self.pread(fd, size, 0)

    # ---- files by path

    def size(self, path: str) -> int:
        file = self._files.get(path)
        if file is not None:
            return file.size
        self._must_exist(path)
        return self.real.size(path)

    def modified_ms(self, path: str) -> int:
        self._must_exist(path)
        file = self._files.get(path)
        source = path if file is None else file.source
        return self.real.modified_ms(source) if source is not None else 0

    def read_file(self, path: str) -> bytes:
        self._must_exist(path)
        file = self._files.get(path)
        return self.real.read_file(path) if file is None else self._read(file, file.size, 0)

    def replace_file(self, path: str, data: bytes) -> None:
        file = _File(None, 0)
        file.tail += data
        self._put(path, file)

    def write_file(self, path: str, data: bytes) -> None:
        self.replace_file(path, data)

    def sync_directory(self, path: str) -> None:
        """Nothing."""

    def rename(self, source: str, target: str) -> None:
        self._must_exist(source)
        if self.is_directory(source):
            for name in self.list(source):
                self.rename(os.path.join(source, name), os.path.join(target, name))
            self._directories.add(target)
        else:
            self._put(target, self._file(source))
        self._forget(source)

    def remove(self, path: str) -> None:
        if self.exists(path):
            self._forget(path)

    def remove_directory(self, path: str) -> None:
        if self.exists(path):
            for name in self.list(path):
                self.remove(os.path.join(path, name))
            self._forget(path)

    def exists(self, path: str) -> bool:
        if path in self._files or path in self._directories:
            return True
        return not self._is_gone(path) and self.real.exists(path)

    def list(self, path: str) -> list[str]:
        there = set()
        if not self._is_gone(path) and self.real.exists(path):
            there = set(self.real.list(path))
            there -= {one for one in there if os.path.join(path, one) in self._gone}
        made = [one for one in (*self._files, *self._directories) if os.path.dirname(one) == path]
        return sorted(there | {os.path.basename(one) for one in made})

    def is_directory(self, path: str) -> bool:
        if path in self._directories:
            return True
        return path not in self._files and self.exists(path) and self.real.is_directory(path)

    def make_directory(self, path: str) -> None:
        if not self.exists(path):
            self._directories.add(path)

    def lock(self, path: str) -> int:
        """A lock that nobody else sees."""
        return self.open(path, create=True)

    def is_locked(self, path: str) -> bool:
        return False

    def usable_bytes(self, path: str) -> tuple[int, int]:
        return self.real.usable_bytes(path)

    # ---- inside

    def _must_exist(self, path: str) -> None:
        if not self.exists(path):
            raise FileNotFoundError(2, "No such file", path)

    def _is_gone(self, path: str) -> bool:
        return path in self._gone or os.path.dirname(path) in self._gone

    def _put(self, path: str, file: _File) -> None:
        self._files[path] = file
        self._gone.discard(path)

    def _forget(self, path: str) -> None:
        self._files.pop(path, None)
        self._directories.discard(path)
        self._gone.add(path)

    def _file(self, path: str) -> _File:
        found = self._files.get(path)
        return found if found is not None else _File(path, self.real.size(path))

    def _behind(self, fd: int) -> _File | str:
        """The file of an fd; its path while it is as it was."""
        found = self._open[fd]
        if isinstance(found, str) and found in self._files:
            return self._files[found]
        return found

    def _own(self, fd: int) -> _File:
        found = self._behind(fd)
        if isinstance(found, str):
            path, found = found, self._file(found)
            self._put(path, found)
        self._open[fd] = found
        return found

    def _read(self, file: _File | str, size: int, offset: int) -> bytes:
        if isinstance(file, str):
            return self._read_real(file, size, offset)
        out = b""
        if offset < file.kept and file.source is not None:
            out = self._read_real(file.source, min(size, file.kept - offset), offset)
            size, offset = size - len(out), offset + len(out)
        at = max(offset - file.kept, 0)
        return out + bytes(file.tail[at : at + size]) if size > 0 else out

    def _read_real(self, path: str, size: int, offset: int) -> bytes:
        fd = self._real_fds.get(path)
        if fd is None:
            if len(self._real_fds) >= OPEN_MAX:
                self.real.close(self._real_fds.pop(next(iter(self._real_fds))))
            fd = self._real_fds[path] = self.real.open(path, write=False)
        return self.real.pread(fd, size, offset)
