"""How far the batches of a segment are good: whole, their CRCs right, their offsets in order."""
from __future__ import annotations

import logging
from collections.abc import Iterator

from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    crc_is_right,
    read_header,
)
from fastbroker.storage.batch_file import BatchFile
from fastbroker.storage.disk import Buffer
from fastbroker.storage.index import RELATIVE_MAX

log = logging.getLogger(__name__)

WALK_BYTES = 1 << 20  # read at once to walk over all batches


def good_batches(
    batches: BatchFile, position: int, end: int, *, base_offset: int, recovery_point: int
) -> Iterator[BatchHeader]:
    """Headers of the batches in [position, end) of the file, before the first that is not good.

    One below `recovery_point` whose CRC is wrong was good once: it is told of, and counts as good.
    Raises OSError.
    """
    next_offset, need = base_offset, HEADER_BYTES
    while end - position >= need:
        size = min(max(WALK_BYTES, need), end - position)
        data = memoryview(batches.read(position, size))
        at, need = 0, HEADER_BYTES
        while len(data) - at >= HEADER_BYTES:
            try:
                header = read_header(data, at)
            except CorruptBatch:
                return
            if header.base_offset < next_offset or header.last_offset < header.base_offset:
                return
            if header.last_offset - base_offset > RELATIVE_MAX:
                return
            if _overlaps_next(header, next_offset, data, at + header.size):
                return
            if at + header.size > len(data):
                need = header.size  # it goes on behind what was read
                break
            if not crc_is_right(data, header, at):
                if header.last_offset >= recovery_point:
                    return
                log.error(
                    "%s: the batch at position %d, offsets %d to %d, is damaged: its CRC is"
                    " wrong; it was good when it was acknowledged, and is kept for its readers"
                    " to refuse",
                    batches.path, position + at, header.base_offset, header.last_offset,
                )  # fmt: skip
            yield header
            at += header.size
            next_offset = header.last_offset + 1
        position += at


def _overlaps_next(header: BatchHeader, next_offset: int, data: Buffer, behind: int) -> bool:
    """Whether the offset of a batch, which no CRC covers, cannot be right: the next, at `behind`,
    begins below its end.

    Gaps alone are what compaction leaves.
    """
    if header.base_offset == next_offset or len(data) - behind < HEADER_BYTES:
        return False
    try:
        return read_header(data, behind).base_offset <= header.last_offset
    except CorruptBatch:
        return False
