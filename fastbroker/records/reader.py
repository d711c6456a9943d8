"""Batches in, records out."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    crc_is_right,
    decode_records,
    read_header,
)
from fastbroker.errors import CorruptMessage
from fastbroker.records.compression import Buffer, decompress


class Record(NamedTuple):
    """One record with its place in the log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Batch(NamedTuple):
    """A batch's header and all of its bytes, header included."""

    header: BatchHeader
    data: memoryview

    def body(self) -> Buffer:
        """Its records as bytes, not compressed. Raises CorruptMessage."""
        return decompress(self.header.codec, self.data[HEADER_BYTES:])

    def records(self) -> list[Record]:
        """Its records. Raises CorruptMessage."""
        header = self.header
        try:
            raw = decode_records(self.body(), header.count)
        except CorruptBatch as error:
            raise CorruptMessage(f"the batch at {header.base_offset}: {error}") from None
        if header.is_append_time:
            return [
                Record(header.base_offset + delta, header.max_timestamp, key, value, headers)
                for delta, _, key, value, headers in raw
            ]
        return [
            Record(
                header.base_offset + delta, header.base_timestamp + timestamp, key, value, headers
            )
            for delta, timestamp, key, value, headers in raw
        ]


def iter_batches(data: Buffer, *, check_crc: bool = True) -> Iterator[Batch]:
    """The whole batches of `data`, which may end inside one (as a fetch response may).

    Raises CorruptMessage.
    """
    view = memoryview(data)
    at = 0
    while len(view) - at >= HEADER_BYTES:
        try:
            header = read_header(view, at)
        except CorruptBatch as error:
            raise CorruptMessage(str(error)) from None
        if at + header.size > len(view):
            return
        if check_crc and not crc_is_right(view, header, at):
            raise CorruptMessage(f"the CRC of the batch at {header.base_offset} is wrong")
        yield Batch(header, view[at : at + header.size])
        at += header.size


def iter_records(data: Buffer, *, control: bool = False) -> Iterator[Record]:
    """The records of the whole batches in `data`; those of control batches only when asked for.

    Raises CorruptMessage.
    """
    for batch in iter_batches(data):
        if control or not batch.header.is_control:
            yield from batch.records()
