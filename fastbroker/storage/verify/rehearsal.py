"""A disk that can be written to without being changed.

What is written, cut, renamed or removed is remembered here and seen by later calls; the real files
stay as they are. So what the next start would do is found out by having it done: the same code, on
this. Every call of Disk has to be here, or it would reach the real files: a test sees to that.
"""
from __future__ import annotations

import os.path
from enum import Enum

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


class _Mark(Enum):
    """What else has become of a path: nothing real is seen at it, or below it."""

    GONE = 1
    DIRECTORY = 2  # a new one


class RehearsalDisk(Disk):
    """Reads go to `real`. Memory: what is written, and a byte range that is overwritten.

    Owned by one rehearsal; close_all() lets the files go that were left open.
    """

    def __init__(self, real: Disk) -> None:
        self.real = real
        self._now: dict[str, _File | _Mark] = {}  # what is not as it was, by path
        self._made: dict[str, set[str]] = {}  # directory -> names of files and directories of it
        # What was there before each change since `mark`; None: no mark was made.
        self._before: list[tuple[str, _File | _Mark | None]] | None = None
        self._open: dict[int, _File | str] = {}  # fd -> file, or the path of one as it was
        self._next_fd = 1 << 30  # no real one is so large
        self._real_fds: dict[str, int] = {}

    # ---- what would have changed

    def fate(self, path: str) -> str:
        """What became of a file: "kept", "cut", "changed", "removed" or "new"."""
        was_there = self.real.exists(path)
        if not self.exists(path):
            return "removed" if was_there else "kept"
        file = self._changed(path)
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

    def mark(self) -> None:
        """`rewind` comes back to how all is now."""
        self._before = []

    def rewind(self) -> None:
        """Forget what became of files since `mark`; of one that had changed before it, only that it
        was renamed or removed."""
        before, self._before = self._before or [], None
        for path, state in reversed(before):
            self._set(path, state)
        self._before = []

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
            self._set(path, _File(None, 0))
        fd = self._next_fd
        self._next_fd += 1
        self._open[fd] = self._changed(path) or path
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

    def sync(self, fd: int) -> None:
        """Nothing: there is nothing to lose."""

    def sync_file_system(self, fd: int) -> None:
        """Nothing."""

    def sync_file(self, path: str) -> None:
        """Nothing, but for a file that is not there."""
        self._must_exist(path)

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
        file = self._changed(path)
        if file is not None:
            return file.size
        self._must_exist(path)
        return self.real.size(path)

    def modified_ms(self, path: str) -> int:
        self._must_exist(path)
        file = self._changed(path)
        source = path if file is None else file.source
        return self.real.modified_ms(source) if source is not None else 0

    def read_file(self, path: str) -> bytes:
        self._must_exist(path)
        file = self._changed(path)
        return self.real.read_file(path) if file is None else self._read(file, file.size, 0)

    def replace_file(self, path: str, data: bytes) -> None:
        file = _File(None, 0)
        file.tail += data
        self._set(path, file)

    def write_file(self, path: str, data: bytes) -> None:
        self.replace_file(path, data)

    def sync_directory(self, path: str) -> None:
        """Nothing."""

    def rename(self, source: str, target: str) -> None:
        self._must_exist(source)
        if self.is_directory(source):
            for name in self.list(source):
                self.rename(os.path.join(source, name), os.path.join(target, name))
            self._set(target, _Mark.DIRECTORY)
        else:
            self._set(target, self._file(source))
        self._set(source, _Mark.GONE)

    def remove(self, path: str) -> None:
        if self.exists(path):
            self._set(path, _Mark.GONE)

    def remove_directory(self, path: str) -> None:
        if self.exists(path):
            for name in self.list(path):
                self.remove(os.path.join(path, name))
            self._set(path, _Mark.GONE)

    def exists(self, path: str) -> bool:
        state = self._now.get(path)
        if state is None:
            return not self._is_hidden(path) and self.real.exists(path)
        return state is not _Mark.GONE

    def list(self, path: str) -> list[str]:
        there = set(self._made.get(path, ()))
        if path not in self._now and not self._is_hidden(path) and self.real.exists(path):
            real = self.real.list(path)
            there |= {one for one in real if os.path.join(path, one) not in self._now}
        return sorted(there)

    def is_directory(self, path: str) -> bool:
        state = self._now.get(path)
        if state is None:
            return not self._is_hidden(path) and self.real.is_directory(path)
        return state is _Mark.DIRECTORY

    def make_directory(self, path: str) -> None:
        if not self.exists(path):
            self._set(path, _Mark.DIRECTORY)

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

    def _changed(self, path: str) -> _File | None:
        """The file at `path` if it is not as it was."""
        found = self._now.get(path)
        return found if isinstance(found, _File) else None

    def _is_hidden(self, path: str) -> bool:
        """Whether the directory of `path` is gone or a new one: nothing real is in it."""
        return os.path.dirname(path) in self._now

    def _set(self, path: str, state: _File | _Mark | None) -> None:
        """None: it is as it was."""
        if self._before is not None:
            self._before.append((path, self._now.get(path)))
        directory, name = os.path.split(path)
        if state is None or state is _Mark.GONE:
            made = self._made.get(directory, set())
            made.discard(name)
            if not made:
                self._made.pop(directory, None)
        else:
            self._made.setdefault(directory, set()).add(name)
        if state is None:
            self._now.pop(path, None)
        else:
            self._now[path] = state

    def _file(self, path: str) -> _File:
        return self._changed(path) or _File(path, self.real.size(path))

    def _behind(self, fd: int) -> _File | str:
        """The file of an fd; its path while it is as it was."""
        found = self._open[fd]
        return (self._changed(found) or found) if isinstance(found, str) else found

    def _own(self, fd: int) -> _File:
        found = self._behind(fd)
        if isinstance(found, str):
            path, found = found, self._file(found)
            self._set(path, found)
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
