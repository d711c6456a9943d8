"""A small file system of a test's own, which can be filled."""
from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

MIB = 1 << 20
PIECE = bytes(MIB)


class Mount:
    """A tmpfs at `path`. filler: the file that takes the space up."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path, self.filler = path, path / "filler"

    @property
    def free(self) -> int:
        """Bytes that are left."""
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Take up all but `leave` bytes."""
        with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while self.free > leave:
                file.write(PIECE[: self.free - leave])

    def give_back(self, size: int) -> None:
        """Give back so many bytes of what was taken up."""
        os.truncate(self.filler, self.filler.stat().st_size - size)

    def relieve(self) -> None:
        """Give back what was taken up."""
        self.filler.unlink()


@contextlib.contextmanager
def small_disk(path: pathlib.Path, size: int) -> Iterator[Mount]:
    """A file system of `size` bytes at `path`, for as long as the context lasts."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield Mount(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextlib.contextmanager
def failing_disk(path: pathlib.Path, size: int) -> Iterator[tuple[pathlib.Path, Mount]]:
    """An ext4 whose new blocks cannot be written once the file system below it is full.

    Gives where it is, and what is below: there `fill` makes every write of a block that was never
    written fail with EIO, in the kernel; `relieve` heals it.
    """
    with small_disk(path / "below", size + 2 * MIB) as below:
        image, top = below.path / "image", path / "disk"
        top.mkdir()
        with open(image, "wb") as file:
            file.truncate(size)
        # Without a journal, and with all of its own blocks written: it does not notice.
        options = "lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run(
            ["mkfs.ext4", "-q", "-b", "4096", "-O", "^has_journal", "-E", options, str(image)],
            check=True,
        )
        subprocess.run(["mount", "-o", "loop", str(image), str(top)], check=True)
        try:
            yield top, below
        finally:
            subprocess.run(["umount", str(top)], check=True)
