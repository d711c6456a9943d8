"""What a path is: a data directory, a log directory, a partition's directory, or a file.

    data directory   broker-<id>/  controller-<id>/  run/
    log directory    meta.properties  *-checkpoint  <topic>-<partition>/  (Kafka: log.dirs)
"""
from __future__ import annotations

import os.path
import re
from enum import Enum

from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.names import GONE, PARTITION

_HOME = re.compile(r"(broker|controller)-\d+")
_OF_PARTITION = ("leader-epoch-checkpoint", "partition.metadata")


class Kind(Enum):
    """What a path is."""

    DATA, LOG_DIR, PARTITION, FILE, NOTHING = range(5)


def kind_of(disk: Disk, path: str) -> Kind:
    """NOTHING: it is not there, or nothing of a broker's is in it. Raises OSError."""
    if not disk.exists(path):
        return Kind.NOTHING
    if not disk.is_directory(path):
        return Kind.FILE
    names = disk.list(path)
    if any(name.endswith(".log") or name in _OF_PARTITION for name in names):
        return Kind.PARTITION
    if "meta.properties" in names or any(name.endswith("-checkpoint") for name in names):
        return Kind.LOG_DIR
    if log_dirs(disk, path):
        return Kind.DATA
    return Kind.LOG_DIR if partitions(disk, path) else Kind.NOTHING


def log_dirs(disk: Disk, path: str) -> list[str]:
    """The log directories in a data directory: the controllers' first."""
    found = [name for name in disk.list(path) if _HOME.fullmatch(name)]
    found.sort(key=lambda name: (name.split("-")[0] != "controller", int(name.split("-")[1])))
    return [os.path.join(path, name) for name in found]


def partitions(disk: Disk, path: str) -> list[str]:
    """The names of partitions' directories in a log directory: by topic, then by number."""
    found = []
    for name in disk.list(path):
        match = PARTITION.fullmatch(name)
        if match and not GONE.fullmatch(name) and disk.is_directory(os.path.join(path, name)):
            found.append((match["topic"], int(match["partition"]), name))
    return [name for _, _, name in sorted(found)]
