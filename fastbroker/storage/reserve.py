"""Space that is kept for writes which must not fail: a file that is removed when they would."""
from __future__ import annotations

from fastbroker.storage.disk import Disk
from fastbroker.storage.space import LIMITS

SHARE = 64  # of the file system: a small one is not taken up by it


class Reserve:
    """A file of up to `size` bytes at `path`. Owned by whoever writes what it is kept for."""

    def __init__(self, disk: Disk, path: str, *, directory: str, size: int) -> None:
        self.disk, self.path, self.directory, self.size = disk, path, directory, size

    def hold(self) -> bool:
        """Take the space, unless there is less than twice as much; whether it is taken.

        Raises OSError, but not for want of space.
        """
        total, free = self.disk.usable_bytes(self.directory)
        size = min(self.size, total // SHARE)
        if self.disk.exists(self.path) and self.disk.size(self.path) >= size:
            return True
        if free < 2 * size:
            return False
        try:
            self.disk.allocate(self.path, size)
        except OSError as error:
            self.disk.remove(self.path)
            if error.errno not in LIMITS:
                raise
            return False
        return True

    def release(self) -> bool:
        """Give the space to whoever writes next; False: it has been given already."""
        if not self.disk.exists(self.path):
            return False
        self.disk.remove(self.path)
        return True
