"""A disk in memory with a page cache, whose power can be cut at any call.

    disk = SimulatedDisk()
    disk.cut_power(after=17)              # the 18th call from here raises PowerCut, as do all later
    disk.fail(after=3, error=errno.EIO)   # one call fails
    disk = disk.after_power_cut(dice)     # what the next start finds; the old one is dead

What survives a cut
- Of a file, what was synced. Of each write and truncation since, anything: nothing, all, or some of
  its sectors of 512 bytes, whatever became of the others. A file that has grown may have its new
  size with zeros in it, or its data and not its size.
- Of the directories, what was changed up to some moment: metadata is journaled in order, as in ext4
  and XFS. That moment is not before the last change in any directory that was synced. Syncing a
  file says nothing about its name.
- A file that was renamed over another may be there under that name without its data.

A failed sync loses pages as Linux does: they are clean then, so that a second sync succeeds, and
whether they are on the medium nobody knows.
"""
from __future__ import annotations

import contextlib
import errno
import os.path
import random
from collections.abc import Callable, Collection, Iterator

from fastbroker.storage.disk import Buffer, Disk

SECTOR = 512
FIRST_FD = 1 << 20  # no real descriptor is that large: mixing them up is noticed
DISK_BYTES = 1 << 30
SYNCS = frozenset({"sync", "sync_directory"})
NEEDS_SPACE = frozenset({"pwrite", "create", "make_directory"})


class PowerCut(BaseException):
    """The machine stops here. No error of a call: nobody may catch it but the test."""


class File:
    """An inode. data: as processes see it. medium: what is safe. pending: what was done since the
    last sync, as (offset, bytes), or (size, None) for a truncation."""

    __slots__ = ("data", "medium", "modified_ms", "pending")

    def __init__(self, modified_ms: int, medium: bytes = b"") -> None:
        self.data, self.medium = bytearray(medium), bytearray(medium)
        self.pending: list[tuple[int, bytes | None]] = []
        self.modified_ms = modified_ms

    def change(self, at: int, data: bytes | None) -> None:
        _apply(self.data, at, data)
        self.pending.append((at, data))

    def sync(self) -> None:
        for at, data in self.pending:
            _apply(self.medium, at, data)
        self.pending.clear()

    def sync_some(self, changes: list[tuple[int, bytes | None]]) -> None:
        """Those of `changes` that have not been synced yet, the oldest."""
        for change in changes:
            if self.pending and self.pending[0] is change:
                _apply(self.medium, *self.pending.pop(0))

    def survivor(self, dice: random.Random, kept: float) -> bytes:
        """What is there after a cut; kept: how likely an unsynced change is whole."""
        if not self.pending:
            return bytes(self.medium)
        found = bytearray(self.medium)
        for at, data in self.pending:
            if dice.random() < kept:
                _apply(found, at, data)
            elif data is not None and dice.random() < 0.5:
                _tear(found, at, data, dice)
        grown = len(self.data) - len(found)
        if grown > 0 and dice.random() < 0.3:
            found += bytes(grown)
        elif len(found) > len(self.medium) and dice.random() < 0.2:
            sectors = range(len(self.medium), len(found), SECTOR)
            del found[dice.choice(sectors) :]
        return bytes(found)


class Directory(dict[str, "File | Directory"]):
    """Names -> what they stand for. Told apart by identity."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def walk(self, path: str) -> Directory:
        """The directory at `path` below this one. Raises FileNotFoundError, NotADirectoryError."""
        here = self
        for name in path.split("/"):
            if name:
                found = here.get(name)
                if found is None:
                    raise FileNotFoundError(errno.ENOENT, "no such directory", path)
                if not isinstance(found, Directory):
                    raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)
                here = found
        return here


class Change:
    """One change of the directories: how it is done again in another tree, and where it was."""

    __slots__ = ("parents", "redo")

    def __init__(self, parents: Collection[Directory], redo: Callable[[Directory], None]) -> None:
        self.parents, self.redo = parents, redo


class SimulatedDisk(Disk):
    """One machine's disk, from one start to the next power cut.

    now_ms: the time that files get. calls: how many there were. last_call: name and path or fd, for
    whoever looks into a failure.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self.calls = 0
        self.last_call: tuple[str, str | int] = "", ""
        self.root, self._medium = Directory(), Directory()
        self._changes: list[Change] = []
        self._safe = 0  # how many of the changes are on the medium
        self._open: dict[int, tuple[File | Directory, str]] = {}
        self._locked: dict[str, int] = {}
        self._next_fd = FIRST_FD
        self._cut_at: int | None = None
        self._failures: dict[str, tuple[int, int]] = {}  # call -> at which, errno; "": any

    # ---- faults

    def cut_power(self, *, after: int) -> None:
        """After so many more calls."""
        self._cut_at = self.calls + after

    @contextlib.contextmanager
    def no_faults(self) -> Iterator[None]:
        """Those that were to come meanwhile come right after it."""
        faults = self._cut_at, self._failures
        self._cut_at, self._failures = None, {}
        try:
            yield
        finally:
            self._cut_at, self._failures = faults

    def fail(self, *, after: int, error: int, call: str = "") -> None:
        """One call named `call` (any, if it is empty) fails, after so many others of all names.

        For want of space only those fail that need some.
        """
        self._failures[call] = self.calls + after, error

    def after_kill(self) -> SimulatedDisk:
        """This disk, page cache and all, once the process that used it is gone; also when it was
        to be gone at some call, see `cut_power`."""
        self._open.clear()
        self._locked.clear()
        self._failures.clear()
        self._cut_at = None
        return self

    def after_power_cut(self, dice: random.Random) -> SimulatedDisk:
        """A disk with what has survived. This one answers nothing any more."""
        self._cut_at = self.calls
        fresh = SimulatedDisk()
        fresh.now_ms = self.now_ms
        kept = dice.choice((0.0, 0.5, 0.9))
        last = dice.choice((self._safe, dice.randint(self._safe, len(self._changes))))
        if dice.random() < 0.3:
            last = len(self._changes)
        for change in self._changes[:last]:
            change.redo(self._medium)
        copies: dict[int, File] = {}

        def copied(tree: Directory) -> Directory:
            out = Directory()
            for name, node in tree.items():
                if isinstance(node, Directory):
                    out[name] = copied(node)
                else:
                    if id(node) not in copies:
                        copies[id(node)] = File(node.modified_ms, node.survivor(dice, kept))
                    out[name] = copies[id(node)]
            return out

        fresh._medium = copied(self._medium)
        fresh.root = _mirror(fresh._medium)
        return fresh

    def _call(self, name: str, what: str | int) -> None:
        self.last_call = name, what
        if self._cut_at is not None and self.calls >= self._cut_at:
            raise PowerCut(f"{name} {what}")
        self.calls += 1
        for key in ("", name):
            found = self._failures.get(key)
            if found is not None and self.calls > found[0]:
                if found[1] == errno.ENOSPC and name not in NEEDS_SPACE:
                    continue
                del self._failures[key]
                if name in SYNCS and isinstance(what, int):
                    node = self._open[what][0]
                    if isinstance(node, File):
                        _lose_pages(node)
                raise OSError(found[1], os.strerror(found[1]), str(what))

    # ---- files

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        self._call("open", path)
        parent, name = self._parent(path)
        node = parent.get(name)
        if node is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            node = self._make(parent, path, name)
        return self._opened(node, path)

    def _make(self, parent: Directory, path: str, name: str) -> File:
        self._call("create", path)
        file = parent[name] = File(self.now_ms)

        def redo(tree: Directory) -> None:
            tree.walk(os.path.dirname(path))[name] = file

        self._changes.append(Change((parent,), redo))
        return file

    def _opened(self, node: File | Directory, path: str) -> int:
        self._next_fd += 1
        self._open[self._next_fd] = node, path
        return self._next_fd

    def close(self, fd: int) -> None:
        """Also when the power is off: objects of before let their files go."""
        self._open.pop(fd, None)
        for path, holder in list(self._locked.items()):
            if holder == fd:
                del self._locked[path]

    @property
    def open_files(self) -> int:
        """How many descriptors are open."""
        return len(self._open)

    def _file(self, fd: int) -> File:
        found = self._open.get(fd)
        if found is None or not isinstance(found[0], File):
            raise OSError(errno.EBADF, "not an open file", str(fd))
        return found[0]

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._call("pread", fd)
        return bytes(self._file(fd).data[offset : offset + size])

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        self._call("pwrite", fd)
        file = self._file(fd)
        file.change(offset, bytes(data))
        file.modified_ms = self.now_ms

    def sync(self, fd: int) -> None:
        self._call("sync", fd)
        node = self._open[fd][0]
        if isinstance(node, File):
            node.sync()
        else:
            self._sync_names(node)

    def sync_file(self, path: str) -> None:
        fd = self.open(path, write=False)
        try:
            self.sync(fd)
        finally:
            self.close(fd)

    def sync_file_system(self, fd: int) -> None:
        self.begin_sync_file_system(fd)()

    def begin_sync_file_system(self, fd: int) -> Callable[[], None]:
        """A sync of everything that takes its time: what it returns ends it. What is written
        meanwhile is not part of it."""
        self._call("sync_file_system", fd)
        changes = len(self._changes)
        nodes = {id(node): node for node, _ in self._open.values() if isinstance(node, File)}
        _collect(self.root, nodes)
        pending = [(node, list(node.pending)) for node in nodes.values()]

        def end() -> None:
            self._call("synced_file_system", fd)
            self._safe = max(self._safe, changes)
            for node, begun in pending:
                node.sync_some(begun)

        return end

    def forget_cached(self, fd: int, offset: int) -> None:
        """Nothing: what is read is what was written."""

    def size(self, path: str) -> int:
        return len(self._node(path).data)

    def modified_ms(self, path: str) -> int:
        return self._node(path).modified_ms

    def _node(self, path: str) -> File:
        self._call("stat", path)
        parent, name = self._parent(path)
        node = parent.get(name)
        if not isinstance(node, File):
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return node

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate", fd)
        self._file(fd).change(size, None)

    def map(self, fd: int, size: int) -> Buffer:
        self._call("map", fd)
        return memoryview(bytes(self._file(fd).data[:size])) if size else b""

    def read_file(self, path: str) -> bytes:
        return bytes(self._node(path).data)

    def replace_file(self, path: str, data: bytes) -> None:
        self._write_beside(path, data, synced=True)
        self.rename(path + ".tmp", path)
        self.sync_directory(os.path.dirname(path))

    def write_file(self, path: str, data: bytes) -> None:
        self._write_beside(path, data, synced=False)
        self.rename(path + ".tmp", path)

    def _write_beside(self, path: str, data: bytes, *, synced: bool) -> None:
        fd = self.open(path + ".tmp", create=True)
        try:
            if self._file(fd).data:
                self.truncate(fd, 0)
            self.pwrite(fd, data, 0)
            if synced:
                self.sync(fd)
        finally:
            self.close(fd)

    # ---- names

    def sync_directory(self, path: str) -> None:
        self._call("sync_directory", path)
        self._sync_names(self.root.walk(path))

    def _sync_names(self, directory: Directory) -> None:
        for number in range(len(self._changes) - 1, self._safe - 1, -1):
            if directory in self._changes[number].parents:
                self._safe = number + 1
                return

    def rename(self, source: str, target: str) -> None:
        self._call("rename", source)
        before, old = self._parent(source)
        after, new = self._parent(target)
        if old not in before:
            raise FileNotFoundError(errno.ENOENT, "no such file", source)
        if isinstance(after.get(new), Directory) and after[new]:
            raise OSError(errno.ENOTEMPTY, "the directory is not empty", target)
        after[new] = before.pop(old)

        def redo(tree: Directory) -> None:
            node = tree.walk(os.path.dirname(source)).pop(old)
            tree.walk(os.path.dirname(target))[new] = node

        self._changes.append(Change((before, after), redo))

    def remove(self, path: str) -> None:
        self._call("remove", path)
        try:
            parent, name = self._parent(path)
        except FileNotFoundError:
            return
        if name not in parent:
            return
        if isinstance(parent[name], Directory):
            raise IsADirectoryError(errno.EISDIR, "a directory", path)
        self._drop(parent, path, name)

    def _drop(self, parent: Directory, path: str, name: str) -> None:
        del parent[name]

        def redo(tree: Directory) -> None:
            del tree.walk(os.path.dirname(path))[name]

        self._changes.append(Change((parent,), redo))

    def remove_directory(self, path: str) -> None:
        self._call("remove_directory", path)
        parent, name = self._parent(path)
        directory = parent.get(name)
        if not isinstance(directory, Directory):
            return
        for inner in list(directory):
            self.remove(os.path.join(path, inner))
        self._drop(parent, path, name)

    def exists(self, path: str) -> bool:
        self._call("stat", path)
        try:
            parent, name = self._parent(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return name in parent or not name

    def list(self, path: str) -> list[str]:
        self._call("list", path)
        return sorted(self.root.walk(path))

    def is_directory(self, path: str) -> bool:
        try:
            self.root.walk(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def make_directory(self, path: str) -> None:
        self._call("make_directory", path)
        here, done = self.root, ""
        for name in path.split("/"):
            if not name:
                continue
            done += "/" + name
            if name not in here:
                here[name] = Directory()
                self._changes.append(Change((here,), _making(done)))
            found = here[name]
            if not isinstance(found, Directory):
                raise FileExistsError(errno.EEXIST, "a file", done)
            here = found

    def _parent(self, path: str) -> tuple[Directory, str]:
        head, _, name = path.rpartition("/")
        return self.root.walk(head), name

    # ---- the rest

    def lock(self, path: str) -> int:
        fd = self.open(path, create=True)
        if path in self._locked:
            self.close(fd)
            raise BlockingIOError(errno.EWOULDBLOCK, "locked", path)
        self._locked[path] = fd
        return fd

    def usable_bytes(self, path: str) -> tuple[int, int]:
        return DISK_BYTES, DISK_BYTES // 2


def _apply(content: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        if at < len(content):
            del content[at:]
        else:
            content += bytes(at - len(content))
        return
    if at > len(content):
        content += bytes(at - len(content))
    content[at : at + len(data)] = data


def _tear(content: bytearray, at: int, data: bytes, dice: random.Random) -> None:
    """Some of the sectors that a write touches."""
    begin = at
    while begin < at + len(data):
        end = min((begin // SECTOR + 1) * SECTOR, at + len(data))
        if dice.random() < 0.5:
            _apply(content, begin, data[begin - at : end - at])
        begin = end


def _lose_pages(file: File) -> None:
    """What was pending counts as clean; every other change has reached the medium."""
    for at, data in file.pending[::2]:
        _apply(file.medium, at, data)
    file.pending.clear()


def _making(path: str) -> Callable[[Directory], None]:
    head, _, name = path.rpartition("/")

    def redo(tree: Directory) -> None:
        tree.walk(head)[name] = Directory()

    return redo


def _mirror(tree: Directory) -> Directory:
    """Other directories with the same files."""
    out = Directory()
    for name, node in tree.items():
        out[name] = _mirror(node) if isinstance(node, Directory) else node
    return out


def _collect(tree: Directory, files: dict[int, File]) -> None:
    for node in tree.values():
        if isinstance(node, Directory):
            _collect(node, files)
        else:
            files[id(node)] = node
