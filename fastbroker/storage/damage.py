"""What is wrong with a log's files, beyond what a crash leaves: found, told, kept aside.

A crash leaves a torn tail: batches of the last writes that are not whole, which nobody was told of.
They are cut. Good batches behind a bad one may be more than that, such as a flipped byte: what is
cut then is kept in a file beside the segment, for whoever wants to have a look:

    <base offset>.log.<position>.cut    the segment from `position` on
"""
from __future__ import annotations

import logging
import os.path
from collections.abc import Iterator
from struct import Struct as Layout

from fastbroker._c.record_batch import HEADER_BYTES, CorruptBatch, crc_is_right, read_header
from fastbroker.errors import CorruptMessage
from fastbroker.records.reader import Batch, iter_batches
from fastbroker.storage.disk import Buffer, Disk

log = logging.getLogger(__name__)

CUT = ".cut"
CUT_FILES_MAX = 10  # in one directory; the oldest go
COPY_BYTES = 1 << 20
# From a batch's leader epoch to its magic byte, which lie at this place in its header.
_EPOCH_AND_MAGIC, _AT = Layout(">iB"), 12
_MAGIC = 2
EPOCHS_AHEAD = 3  # later leader epochs that are looked for, too


class Damaged(Exception):
    """Files that are not what a crash leaves; the message names them, and the remedy if there is
    one. Nothing has been done to them."""


def checked_batches(data: Buffer, path: str, position: int) -> Iterator[Batch]:
    """The whole batches of `data`, which was read from `path` at `position`.

    Raises CorruptMessage, which names file and position, for one that is damaged; for a first one
    that is not whole, too: whoever read has asked for at least one.
    """
    at = position
    try:
        for batch in iter_batches(data):
            yield batch
            at += batch.header.size
    except CorruptMessage as error:
        raise CorruptMessage(f"{path}, position {at}: {error.message}") from None
    if at == position and len(data):
        raise CorruptMessage(f"{path}, position {at}: the batch goes on behind the segment's end")


def good_batch_behind(data: bytes, *, next_offset: int, leader_epoch: int) -> int:
    """Position of the first whole, right batch in `data` but for the one at 0; -1: there is none.

    next_offset, leader_epoch: of what came before. Found by their headers, whose leader epochs are
    those near by.
    """
    found = -1
    for epoch in range(max(leader_epoch, 0), max(leader_epoch, 0) + 1 + EPOCHS_AHEAD):
        pattern = _EPOCH_AND_MAGIC.pack(epoch, _MAGIC)
        at = data.find(pattern, _AT + 1)
        while at >= 0 and (found < 0 or at - _AT < found):
            if _is_good(data, at - _AT, next_offset):
                found = at - _AT
                break
            at = data.find(pattern, at + 1)
    return found


def _is_good(data: bytes, position: int, next_offset: int) -> bool:
    if len(data) - position < HEADER_BYTES:
        return False
    try:
        header = read_header(data, position)
    except CorruptBatch:
        return False
    if header.base_offset < next_offset or position + header.size > len(data):
        return False
    return bool(crc_is_right(data, header, position))


def report_cut(
    disk: Disk, path: str, fd: int, *, position: int, end: int, next_offset: int, leader_epoch: int
) -> None:
    """The segment at `path`, open as `fd`, is about to be cut at `position`: say so, and keep what
    is cut when it is more than a torn tail.

    next_offset: behind the last good batch, of `leader_epoch`. Raises OSError.
    """
    size = end - position
    data = disk.pread(fd, size, position)
    behind = good_batch_behind(data, next_offset=next_offset, leader_epoch=leader_epoch)
    if behind < 0:
        log.warning(
            "%s: %d bytes from position %d on are no whole batch: cut, the log ends at offset %d",
            path, size, position, next_offset,
        )  # fmt: skip
        return
    kept = f"{path}.{position}{CUT}"
    disk.replace_file(kept, data)
    drop_old_cuts(disk, os.path.dirname(path))
    log.error(
        "%s: the batch at position %d, offset %d, is damaged, and good ones follow at %d: the log"
        " ends there now, the %d bytes cut are kept in %s",
        path, position, next_offset, position + behind, size, kept,
    )  # fmt: skip


def drop_old_cuts(disk: Disk, directory: str) -> None:
    """Remove the oldest files of cut bytes when there are too many. Raises OSError."""
    names = [name for name in disk.list(directory) if name.endswith(CUT)]
    paths = [os.path.join(directory, name) for name in names]
    paths.sort(key=disk.modified_ms)
    for old in paths[:-CUT_FILES_MAX]:
        log.warning("%s is removed: %d newer ones are kept", old, CUT_FILES_MAX)
        disk.remove(old)
