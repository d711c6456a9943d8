"""Record batches v2 for requests, built here so that they can be wrong, and read for recordings.

    batch  := base_offset:8 length:4 leader_epoch:4 magic:1 crc:4 attributes:2 last_offset_delta:4
              base_timestamp:8 max_timestamp:8 producer_id:8 producer_epoch:2 base_sequence:4
              count:4 record*                                 crc: CRC-32C from attributes on
    record := length:varint attributes:1 timestamp_delta:varint offset_delta:varint
              key:bytes value:bytes headers:varint ...        lengths: zigzag varints, -1 null
"""
from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from typing import Any

import crc32c
import lz4.frame
import snappy
import zstandard

T0 = 1_600_000_000_000  # the time of records: 2020
HEAD = struct.Struct(">qiibIhiqqqhii")
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
COMPRESS: dict[str, Any] = {
    "none": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "snappy": snappy.compress,
    "lz4": lz4.frame.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def varint(value: int) -> bytes:
    """Zigzag, seven bits a byte, the least significant first."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes((*out, rest))


def field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def batch(
    records: Sequence[tuple[bytes | None, bytes | None] | bytes] = (b"value",),
    *,
    timestamps: Sequence[int] | None = None,
    codec: str = "none",
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    base_offset: int = 0,
    leader_epoch: int = -1,
    magic: int = 2,
    attributes: int = 0,
    count: int | None = None,
    last_offset_delta: int | None = None,
    length: int | None = None,
    max_timestamp: int | None = None,
    crc_error: int = 0,
) -> bytes:
    """One batch of values, or (key, value) pairs, a millisecond apart from T0 on.

    The last arguments make it wrong: they replace what would be true; attributes are ORed.
    """
    times = list(timestamps) if timestamps is not None else [T0 + i for i in range(len(records))]
    base_time = times[0] if times else -1
    body = bytearray()
    for i, record in enumerate(records):
        key, value = (None, record) if isinstance(record, bytes) else record
        inner = b"\0" + varint(times[i] - base_time) + varint(i) + field(key) + field(value) + b"\0"
        body += varint(len(inner)) + inner
    payload = COMPRESS[codec](bytes(body))
    delta = len(records) - 1 if last_offset_delta is None else last_offset_delta
    tail = struct.pack(
        ">hiqqqhii",
        attributes | CODECS[codec],
        delta,
        base_time,
        max_timestamp if max_timestamp is not None else max(times, default=-1),
        producer_id,
        producer_epoch,
        base_sequence,
        len(records) if count is None else count,
    )
    crc = crc32c.crc32c(tail + payload) ^ crc_error
    size = 4 + 1 + 4 + len(tail) + len(payload) if length is None else length
    return struct.pack(">qiibI", base_offset, size, leader_epoch, magic, crc) + tail + payload


def old_message_set(value: bytes = b"value", *, magic: int = 1) -> bytes:
    """One message of format v0 or v1, as before Kafka 0.11."""
    import zlib

    inner = struct.pack(">bb", magic, 0) + (struct.pack(">q", T0) if magic else b"")
    inner += struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    message = struct.pack(">I", zlib.crc32(inner)) + inner
    return struct.pack(">qi", 0, len(message)) + message


def read_batches(data: bytes) -> list[dict[str, Any]]:
    """The headers of whole batches, and their records as stored; a cut last batch is left out."""
    out = []
    at = 0
    while len(data) - at >= HEAD.size:
        head = HEAD.unpack_from(data, at)
        end = at + 12 + head[1]
        if end > len(data):
            break
        out.append(
            {
                "base_offset": head[0],
                "length": head[1],
                "leader_epoch": head[2],
                "magic": head[3],
                "crc_is_right": crc32c.crc32c(data[at + 21 : end]) == head[4],
                "attributes": head[5],
                "last_offset_delta": head[6],
                "base_timestamp": head[7],
                "max_timestamp": head[8],
                "producer_id": head[9],
                "producer_epoch": head[10],
                "base_sequence": head[11],
                "count": head[12],
                "records": short(data[at + HEAD.size : end]),
            }
        )
        at = end
    return out


def short(data: bytes) -> str:
    """Bytes as text; long ones by their ends."""
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) <= 120 else f"{text[:60]}...{len(data)} bytes...{text[-20:]}"
