"""Segments take the place of others on disk: a crash at any step leaves the old or the new.

    write      X.log.cleaned, X.index.cleaned, ... of the new segment; all synced, and the directory
    commit     renamed to .swap, X.log last; the directory is synced: from here on it is the new
    retire     the files of the old segments are renamed to .deleted, then X.index.swap to X.index
               and so on; the directory is synced
    settle     X.log.swap is renamed to X.log; the directory is synced

X is the base offset of the new segment and of the first of the old ones. Its snapshot of producers
stays: it tells what was before X. As long as there is an X.log.swap, what the others of its files
are called does not matter: `finish_swaps` goes on from there. It does not rely on the order in
which names reach the medium between two syncs.

Kafka's loader understands each of these states, too. Kafka: LocalLog.replaceSegments, LogLoader.
"""
from __future__ import annotations

import logging
import os.path
from collections.abc import Iterable

from fastbroker.storage.batch_file import BatchFile
from fastbroker.storage.disk import Disk
from fastbroker.storage.segment_files import (
    DELETED,
    INDEX,
    LOG,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    file_name,
)

log = logging.getLogger(__name__)

CLEANED, SWAP = ".cleaned", ".swap"
INDEXES = (INDEX, TIME_INDEX, TXN_INDEX)


def withdraw(disk: Disk, directory: str, base_offset: int) -> None:
    """Take a commit back; once the directory is synced, `discard` follows."""
    disk.remove(swap_path(directory, base_offset))


def discard(disk: Disk, directory: str, base_offset: int) -> None:
    """Remove the files of a new segment that is not committed, or not any more."""
    for suffix in (LOG, *INDEXES):
        for stage in (SWAP, CLEANED):
            disk.remove(_path(directory, base_offset, suffix + stage))


def commit(disk: Disk, directory: str, base_offset: int) -> None:
    """Rename to .swap; what is being committed is on the medium. The directory is to be synced."""
    for suffix in (*INDEXES, LOG):
        _move(disk, directory, base_offset, suffix + CLEANED, suffix + SWAP)


def retire(disk: Disk, directory: str, old: Iterable[int], base_offset: int) -> list[str]:
    """Put away the segments with the bases `old`, and give the new one its indexes.

    The directory is to be synced. Returns the paths of files to remove later.
    """
    renamed = []
    for base in old:
        for suffix in (LOG, *INDEXES, SNAPSHOT):
            if suffix == SNAPSHOT and base == base_offset:
                continue
            path = _path(directory, base, suffix)
            if disk.exists(path):
                disk.rename(path, path + DELETED)
                renamed.append(path + DELETED)
    for suffix in INDEXES:
        _move(disk, directory, base_offset, suffix + SWAP, suffix)
    return renamed


def swap_path(directory: str, base_offset: int) -> str:
    """Where the new segment lies until it is settled."""
    return _path(directory, base_offset, LOG + SWAP)


def settle(disk: Disk, directory: str, base_offset: int) -> None:
    """The last name; the directory is to be synced."""
    _move(disk, directory, base_offset, LOG + SWAP, LOG)


def finish_swaps(disk: Disk, directory: str) -> None:
    """Bring to an end what a crash has interrupted: before anything else reads the directory.

    Raises OSError.
    """
    names = disk.list(directory)
    for name in names:
        stem = name.removesuffix(LOG + SWAP)
        if stem != name and stem.isdigit():
            _finish(disk, directory, int(stem), names)
    for name in names:
        if name.endswith((CLEANED, SWAP)):
            disk.remove(os.path.join(directory, name))


def _finish(disk: Disk, directory: str, base_offset: int, names: list[str]) -> None:
    path = swap_path(directory, base_offset)
    end = _end_of(disk, directory, base_offset)
    if end < 0 and file_name(base_offset, LOG) in names:
        log.error("%s is damaged: the segments that it was to replace stay", path)
        return
    for name in names:
        stem, _, suffix = name.partition(".")
        if not stem.isdigit() or "." + suffix not in (LOG, *INDEXES, SNAPSHOT):
            continue
        is_own_log = int(stem) == base_offset and "." + suffix == LOG
        if is_own_log or base_offset < int(stem) < end:
            disk.remove(os.path.join(directory, name))
    for suffix in INDEXES:
        for stage in (CLEANED, SWAP):
            _move(disk, directory, base_offset, suffix + stage, suffix)
    disk.sync_directory(directory)
    settle(disk, directory, base_offset)
    disk.sync_directory(directory)
    log.info("%s was taken in: a cleaning had been interrupted", path)


def _end_of(disk: Disk, directory: str, base_offset: int) -> int:
    """The offset behind the last batch of a .swap; -1 when it is not whole."""
    path = swap_path(directory, base_offset)
    batches = BatchFile(disk, path, disk.size(path))
    end, reached = base_offset, 0
    for position, header in batches.headers():
        if header.base_offset < end or header.last_offset < header.base_offset:
            return -1
        end, reached = header.last_offset + 1, position + header.size
    return end if reached == batches.size else -1


def _path(directory: str, base_offset: int, suffix: str) -> str:
    return os.path.join(directory, file_name(base_offset, suffix))


def _move(disk: Disk, directory: str, base_offset: int, source: str, target: str) -> None:
    """Rename when it is there: not every segment has every index."""
    path = _path(directory, base_offset, source)
    if disk.exists(path):
        disk.rename(path, _path(directory, base_offset, target))
