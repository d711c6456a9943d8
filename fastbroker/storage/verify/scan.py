"""A .log file as a row of pieces: batches, good or bad, and bytes that are no batch.

Where a batch cannot be read, the next one with a right CRC is looked for, byte by byte, so that all
damage in a file is found and not only the first.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastbroker._c.checksum import crc32c
from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    crc_is_right,
    read_header,
)
from fastbroker.records.compression import ZSTD
from fastbroker.storage.disk import Disk

WINDOW_BYTES = 1 << 20
BATCH_MAX = 256 << 20  # no request that brings a batch is so large
_MAGIC_AT = 16
_ATTRIBUTES_AT = 21
_ATTRIBUTES = 0x7F  # those that have a meaning


class Piece(NamedTuple):
    """`size` bytes at `position`; wrong: "" for a good batch, or what is wrong with it.

    header: as far as there is one. data: the bytes of a good batch, until the next piece is asked
    for; empty otherwise.
    """

    position: int
    size: int
    header: BatchHeader | None
    data: memoryview
    wrong: str = ""


def pieces(disk: Disk, path: str, end: int, start: int = 0) -> Iterator[Piece]:
    """[start, end) of the file, without gaps. Raises OSError."""
    fd = disk.open(path, write=False)
    try:
        window = _Window(disk, fd, end)
        position = start
        while position < end:
            piece = _piece(window, position, end)
            yield piece
            position += piece.size
    finally:
        disk.close(fd)


class _Window:
    """Bytes of a file, read in large steps."""

    def __init__(self, disk: Disk, fd: int, end: int) -> None:
        self._disk, self._fd, self._end = disk, fd, end
        self._data, self._begin = memoryview(b""), 0

    def get(self, position: int, size: int) -> memoryview:
        """`size` bytes, which are there unless the file has become shorter."""
        at = position - self._begin
        if at < 0 or at + size > len(self._data):
            wanted = max(size, min(WINDOW_BYTES, self._end - position))
            self._data = memoryview(self._disk.pread(self._fd, wanted, position))
            self._begin, at = position, 0
        return self._data[at : at + size]


def _piece(window: _Window, position: int, end: int) -> Piece:
    rest = end - position
    if rest < HEADER_BYTES:
        data = window.get(position, rest)
        what = f"{_zeros(data)}{rest} bytes are left, fewer than the header of a batch"
        return Piece(position, rest, None, data[:0], what)
    data = window.get(position, HEADER_BYTES)
    try:
        header = read_header(data)
    except CorruptBatch as error:
        what = "zeros where a batch should begin" if not any(data) else f"no batch: {error}"
        return _until_next(window, position, end, None, what)
    if header.size > min(rest, BATCH_MAX):
        what = f"the batch claims {header.size} bytes, {rest} are left"
        return _until_next(window, position, end, header, what)
    data = window.get(position, header.size)
    if len(data) < header.size:
        return Piece(position, rest, header, data[:0], "the file became shorter")
    if crc_is_right(data, header):
        wrong = _impossible(header)
        return Piece(position, header.size, header, data if not wrong else data[:0], wrong)
    found = crc32c(data[_ATTRIBUTES_AT:])
    what = f"CRC {header.crc:#010x}, the bytes have {found:#010x}"
    behind = position + header.size
    if behind == end or _is_batch(window, behind, end):
        return Piece(position, header.size, header, data[:0], what)
    return _until_next(window, position, end, header, what)


def _impossible(header: BatchHeader) -> str:
    """What the CRC does not cover, or a writer may have written so."""
    if header.base_offset < 0 or header.last_offset_delta < 0 or header.count < 0:
        return (
            f"base offset {header.base_offset}, last offset delta {header.last_offset_delta},"
            f" {header.count} records"
        )
    return ""


def _zeros(data: memoryview) -> str:
    return "" if any(data) else "zeros: "


def _until_next(
    window: _Window, position: int, end: int, header: BatchHeader | None, what: str
) -> Piece:
    """A piece that ends where the next good batch begins, or the file."""
    found = _next_batch(window, position + 1, end)
    size = found - position
    if found < end:
        what += f"; the next good batch is at {found}"
    return Piece(position, size, header, memoryview(b""), what)


def _next_batch(window: _Window, position: int, end: int) -> int:
    """Where the first good batch at or behind `position` begins; `end`: nowhere."""
    while end - position >= HEADER_BYTES:
        chunk = bytes(window.get(position, min(WINDOW_BYTES, end - position)))
        if len(chunk) < HEADER_BYTES:
            return end
        at = chunk.find(b"\x02", _MAGIC_AT)
        while at >= 0 and at - _MAGIC_AT + HEADER_BYTES <= len(chunk):
            if _is_batch(window, position + at - _MAGIC_AT, end):
                return position + at - _MAGIC_AT
            at = chunk.find(b"\x02", at + 1)
        if position + len(chunk) >= end:
            return end
        position += len(chunk) - HEADER_BYTES + 1
    return end


def _is_batch(window: _Window, position: int, end: int) -> bool:
    """Whether a good batch begins there."""
    if end - position < HEADER_BYTES:
        return False
    try:
        header = read_header(window.get(position, HEADER_BYTES))
    except CorruptBatch:
        return False
    if header.size > min(end - position, BATCH_MAX) or header.attributes & ~_ATTRIBUTES:
        return False
    if header.codec > ZSTD or header.leader_epoch < -1 or _impossible(header):
        return False
    return crc_is_right(window.get(position, header.size), header)
