"""How typed records stand in the bytes of a log record.

    metadata record   := frame:uvarint(1) key:uvarint version:uvarint body
    coordinator key   := type:int16 body(version 0)
    coordinator value := version:int16 body

The metadata log has no record keys; __consumer_offsets, __transaction_state and
__share_group_state have keys whose type names the value's schema. A null value is a tombstone.
"""
from __future__ import annotations

from collections.abc import Iterable
from struct import Struct as Layout
from typing import Any

from fastbroker._c.codec import Malformed, Plan, decode, decode_values, encode
from fastbroker.errors import CorruptFrame
from fastbroker.protocol import metadata_records
from fastbroker.protocol.schema import Buffer, Struct, plan

METADATA_FRAME = 1
LONGEST_STRING = 32_767  # bytes, of a string in a coordinator record's key, and in older values
_SHORT = Layout(">h")

METADATA_RECORDS: dict[int, type[Struct]] = {
    cls.KEY: cls
    for cls in vars(metadata_records).values()
    if isinstance(cls, type) and issubclass(cls, Struct) and cls.KEY >= 0
}


def encode_metadata_record(record: Struct) -> bytes:
    """The value of a metadata log record, in the newest version of its type."""
    cls = type(record)
    found = _NEWEST.get(cls)
    if found is None:
        version = cls.VERSIONS[1]
        head = bytes([METADATA_FRAME]) + _uvarint(cls.KEY) + _uvarint(version)
        found = _NEWEST[cls] = (plan(cls, version), head)
    return encode(found[0], record, found[1])


def decode_metadata_batch(body: Buffer | bytearray, count: int) -> list[Any]:
    """The metadata records in a batch's body of `count` records, at consecutive offsets.

    Raises CorruptFrame as `decode_metadata_record` does.
    """
    try:
        return decode_values(body, count, _PLANS)
    except Malformed as error:
        raise CorruptFrame(f"a batch of metadata records: {error}") from None


def decode_metadata_record(value: Buffer) -> Any:
    """The record in `value`. Raises CorruptFrame for an unknown type or version, or bad bytes."""
    frame, at = _read_uvarint(value, 0)
    key, at = _read_uvarint(value, at)
    version, at = _read_uvarint(value, at)
    return _decoded(_metadata_record(frame, key, version), version, value, at)


def _metadata_record(frame: int, key: int, version: int) -> type[Struct]:
    cls = METADATA_RECORDS.get(key)
    if frame != METADATA_FRAME or cls is None or not cls.VERSIONS[0] <= version <= cls.VERSIONS[1]:
        raise CorruptFrame(f"metadata record frame {frame}, type {key}, version {version}")
    return cls


class _Plans(dict[tuple[int, int, int], Plan]):
    """(frame, type, version) -> the record's plan, made at first use."""

    def __missing__(self, head: tuple[int, int, int]) -> Plan:
        found = self[head] = plan(_metadata_record(*head), head[2])
        return found


_PLANS = _Plans()
_NEWEST: dict[type[Struct], tuple[Plan, bytes]] = {}  # the plan of the newest version, and its head


def encode_key(key: Struct) -> bytes:
    """A coordinator record's key."""
    return encode(plan(type(key), 0), key, _SHORT.pack(type(key).KEY))


def encode_value(value: Struct, version: int) -> bytes:
    """A coordinator record's value in schema `version`."""
    return encode(plan(type(value), version), value, _SHORT.pack(version))


def is_too_long(text: str | None) -> bool:
    """Whether a coordinator record has no room for the text; requests of newer versions have."""
    if text is None or len(text) * 4 <= LONGEST_STRING:
        return False
    return len(text.encode()) > LONGEST_STRING


def decode_key(key: Buffer, types: dict[int, type[Struct]]) -> Any:
    """The key in `key`, or None when its type is not among `types` (type number -> class)."""
    cls = types.get(_read_short(key))
    return None if cls is None else _decoded(cls, 0, key, 2)


def decode_value(value: Buffer, cls: type[Struct]) -> Any:
    """The value in `value`. Raises CorruptFrame."""
    version = _read_short(value)
    if not cls.VERSIONS[0] <= version <= cls.VERSIONS[1]:
        raise CorruptFrame(f"{cls.__name__}: unknown version {version}")
    return _decoded(cls, version, value, 2)


def key_types(classes: Iterable[type[Struct]]) -> dict[int, type[Struct]]:
    """The `types` of decode_key."""
    return {cls.KEY: cls for cls in classes}


def _decoded(cls: type[Struct], version: int, data: Buffer, at: int) -> Any:
    try:
        record, _ = decode(plan(cls, version), data, at)
    except Malformed as error:
        raise CorruptFrame(f"{cls.__name__} v{version}: {error}") from None
    return record


def _read_short(data: Buffer) -> int:
    if len(data) < 2:
        raise CorruptFrame("a coordinator record of fewer than two bytes")
    return int(_SHORT.unpack_from(data)[0])


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_uvarint(data: Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 35:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
    raise CorruptFrame("a metadata record ends inside its frame")
