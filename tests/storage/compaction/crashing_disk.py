"""A disk that stops at its n-th change, and what may be found on it afterwards.

After a kill everything that was asked for is there. After a power cut, of the changes of names
since the last sync of the directory any may be there or not, in any combination, and of a file's
bytes those that were synced, with any part of the others behind them.
"""
from __future__ import annotations

import os
import pathlib
import random

from fastbroker.storage.disk import Buffer, Disk


class QuickDisk(Disk):
    """Syncs nothing: whoever asks for it is told that it was done."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: str) -> None:
        pass

    def replace_file(self, path: str, data: bytes) -> None:
        self.write_file(path, data)


class PowerCut(BaseException):
    """The process ends here; no except OSError, no except Exception sees it."""


class _File:
    """A file, whatever its names. synced: its bytes on the medium."""

    def __init__(self, path: str, *, is_synced: bool) -> None:
        self.content = pathlib.Path(path)
        self.synced = self.content.read_bytes() if is_synced else b""


class CrashingDisk(QuickDisk):
    """Ends the process at change number `stop_at`, before it is made, or after all of them.

    `watch` names the one directory that is looked at; all of it is on the medium then.
    """

    def __init__(self, stop_at: int = -1) -> None:
        self.stop_at, self.changes = stop_at, 0
        self.directory = ""
        self._names: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        self._pending: list[tuple[str, str, _File | None]] = []  # what, name, ...
        self._open: dict[int, _File] = {}

    def watch(self, directory: str) -> None:
        self.directory = directory
        for name in os.listdir(directory):
            self._names[name] = _File(os.path.join(directory, name), is_synced=True)
        self._durable = dict(self._names)

    def _name(self, path: str) -> str | None:
        head, name = os.path.split(path)
        return name if head == self.directory else None

    def _change(self, path: str | None = None) -> None:
        if self.directory and (path is None or self._name(path) is not None):
            if self.changes == self.stop_at:
                raise PowerCut
            self.changes += 1

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        name = self._name(path)
        is_new = name is not None and create and name not in self._names
        if is_new:
            self._change(path)
        fd = super().open(path, create=create, write=write)
        if name is not None:
            if is_new:
                self._names[name] = _File(path, is_synced=False)
                self._pending.append(("make", name, self._names[name]))
            self._open[fd] = self._names[name]
        return fd

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)
        super().close(fd)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        self._change()
        super().pwrite(fd, data, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._change()
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        self._change()
        if fd in self._open:
            self._open[fd].synced = self._open[fd].content.read_bytes()

    def sync_directory(self, path: str) -> None:
        self._change(os.path.join(path, "."))
        if path == self.directory:
            self._durable = dict(self._names)
            self._pending.clear()

    def rename(self, source: str, target: str) -> None:
        self._change(source)
        super().rename(source, target)
        old, new = self._name(source), self._name(target)
        if old is not None and new is not None:
            file = self._names.pop(old)
            file.content = pathlib.Path(target)
            self._names[new] = file
            self._pending.append((old, new, file))

    def remove(self, path: str) -> None:
        name = self._name(path)
        if name is None or name in self._names:
            self._change(path)
        super().remove(path)
        if name is not None and name in self._names:
            self._pending.append(("remove", name, self._names.pop(name)))

    def crash_image(self, target: pathlib.Path, dice: random.Random | None) -> None:
        """Put what is found after the end into `target`. dice: None: the process was killed."""
        target.mkdir(parents=True)
        if dice is None:
            for name in os.listdir(self.directory):
                data = pathlib.Path(self.directory, name).read_bytes()
                (target / name).write_bytes(data)
            return
        names = dict(self._durable)
        for what, name, file in self._pending:
            if dice.random() < 0.5:
                continue
            if what == "remove":
                names.pop(name, None)
            elif what != "make" and names.get(what) is not file:
                continue  # what it was renamed from never came to be
            else:
                names.pop(what, None)
                assert file is not None
                names[name] = file
        for name, file in names.items():
            data = file.synced
            if file.content.exists():
                more = file.content.read_bytes()[len(data) :]
                data += more[: dice.randint(0, len(more))]
            (target / name).write_bytes(data)
