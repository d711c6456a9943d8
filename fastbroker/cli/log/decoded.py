"""Records that brokers write for themselves, decoded: internal topics, control records."""
from __future__ import annotations

import base64
from functools import cache
from struct import Struct as Layout
from typing import Any

from fastbroker._c.codec import Kind, Malformed, decode
from fastbroker.errors import CorruptFrame
from fastbroker.model import METADATA_TOPIC
from fastbroker.protocol import (
    group_records,
    raft_records,
    share_records,
    streams_records,
    txn_records,
)
from fastbroker.protocol.record_frames import (
    decode_key,
    decode_metadata_record,
    decode_value,
)
from fastbroker.protocol.schema import Struct, plan
from fastbroker.records.control import control_kind
from fastbroker.records.reader import Record
from fastbroker.uuids import uuid_text

_VERSION = Layout(">h")
_CONTROL: dict[int, tuple[str, type[Struct]]] = {
    0: ("ABORT", raft_records.EndTxnMarker),
    1: ("COMMIT", raft_records.EndTxnMarker),
    2: ("LEADER_CHANGE", raft_records.LeaderChangeMessage),
    3: ("SNAPSHOT_HEADER", raft_records.SnapshotHeaderRecord),
    4: ("SNAPSHOT_FOOTER", raft_records.SnapshotFooterRecord),
    5: ("KRAFT_VERSION", raft_records.KRaftVersionRecord),
    6: ("KRAFT_VOTERS", raft_records.VotersRecord),
}
_MODULES = {
    "__consumer_offsets": (group_records, share_records, streams_records),
    "__transaction_state": (txn_records,),
    "__share_group_state": (share_records,),
}


def decoded(topic: str, record: Record) -> dict[str, Any] | None:
    """What a record of an internal topic says; None: it is of another topic, or unknown.

    {"type": name, "key": {...}, "value": {...} or None for a tombstone}
    """
    try:
        if topic == METADATA_TOPIC:
            found = decode_metadata_record(record.value or b"")
            return {"type": type(found).__name__, "value": plain(found)}
        if topic not in _MODULES:
            return None
        keys, values = _types(topic)
        key = decode_key(record.key or b"", keys)
        if key is None:
            return None
        value = None
        if record.value is not None:
            value = plain(decode_value(record.value, values[type(key).KEY]))
        name = type(key).__name__.removesuffix("Key")
        return {"type": name, "key": plain(key), "value": value}
    except (CorruptFrame, KeyError) as error:
        return {"type": "unknown", "error": str(error)}


def control(record: Record) -> dict[str, Any]:
    """What a control record says: {"type": name, "value": {...}}."""
    kind = control_kind(record.key or b"")
    name, cls = _CONTROL.get(kind, (f"control record of type {kind}", None))
    value = record.value or b""
    if cls is None or len(value) < _VERSION.size:
        return {"type": name}
    # The first of these has its version before its fields, the others among them as well.
    begin = _VERSION.size if cls is raft_records.EndTxnMarker else 0
    version = min(max(_VERSION.unpack_from(value)[0], cls.VERSIONS[0]), cls.VERSIONS[1])
    try:
        found, _ = decode(plan(cls, version), value, begin)
    except Malformed as error:
        return {"type": name, "error": str(error)}
    return {"type": name, "value": plain(found)}


@cache
def _types(topic: str) -> tuple[dict[int, type[Struct]], dict[int, type[Struct]]]:
    keys: dict[int, type[Struct]] = {}
    values: dict[int, type[Struct]] = {}
    for module in _MODULES[topic]:
        for name, cls in vars(module).items():
            if not (isinstance(cls, type) and issubclass(cls, Struct) and cls.KEY >= 0):
                continue
            is_state = name.startswith(("ShareSnapshot", "ShareUpdate"))
            if is_state is not (topic == "__share_group_state"):
                continue
            (keys if name.endswith("Key") else values)[cls.KEY] = cls
    return keys, values


def plain(value: Any, field: Any = None) -> Any:
    """A struct as a dict of what JSON has: uuids as Kafka writes them, bytes as text or base64."""
    if isinstance(value, Struct):
        return {
            name: plain(getattr(value, name), one) for name, one in type(value).FIELDS.items()
        }
    if isinstance(value, (list, tuple)):
        item = None if field is None else field.item
        return [plain(one, item) for one in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        if getattr(field, "kind", None) is Kind.UUID:
            return uuid_text(data)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return base64.b64encode(data).decode()
    return value
