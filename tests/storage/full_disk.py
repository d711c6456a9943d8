"""A disk that has no space left from some time on."""
from __future__ import annotations

import errno

from fastbroker.storage.disk import Buffer, Disk


class FullDisk(Disk):
    """While it `is_full`, nothing is written."""

    is_full = False

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().pwrite(fd, data, offset)
