"""The page cache, emptied of a directory's files."""
from __future__ import annotations

import os


def drop(directory: str | os.PathLike[str]) -> None:
    """Have the kernel forget the contents of every file below `directory`; unused ones, that is:
    nobody may have them mapped."""
    os.sync()  # a page that waits to be written is kept
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue  # a socket
            fd = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
