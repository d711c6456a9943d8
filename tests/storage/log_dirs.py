"""Lives of a broker's directory, one after the other."""
from __future__ import annotations

import pathlib

from fastbroker.storage.disk import Disk
from fastbroker.storage.log_dir import LogDir


def started(path: pathlib.Path, disk: Disk | None = None) -> LogDir:
    """After a crash, or for the first time; the one before has let go of its lock."""
    directory = LogDir(str(path / "broker"), disk=disk or Disk(), node_id=1)
    directory.open()
    directory.join_cluster("c" * 22)
    return directory


def crash(directory: LogDir) -> None:
    """Nothing is closed; another may be started in its place."""
    directory.disk.close(directory._lock)
    directory._lock = -1
