"""Answers as plain values for JSON, with placeholders for what differs by nature.

An id becomes <topic_id 1>, <member_id 2>, ...: numbered in the order in which it appears in its
scenario, so that the same id twice is the same placeholder twice. Zero, empty, -1 and null stay.
"""
from __future__ import annotations

from typing import Any

from fastbroker._c.codec import Kind
from fastbroker.protocol.schema import Field, Struct, is_in
from tests.recordings.batches import T0, read_batches, short

# Numbered placeholders, by the field's name; fields that hold the same kind of id share a word.
IDS = {
    "topic_id": "topic_id",
    "member_id": "member_id",
    "leader": "member_id",
    "producer_id": "producer_id",
    "session_id": "session_id",
    "cluster_id": "cluster_id",
}
# Known to differ: only whether there is something is kept.
BLANK = {
    "host": "host",
    "client_host": "host",
    "port": "port",
    "error_message": "text",
    "batch_index_error_message": "text",
    "documentation": "text",
    "log_dir": "path",
    "total_bytes": "bytes",
    "usable_bytes": "bytes",
    "finalized_features_epoch": "epoch",
}
# A time near now; those of our records are older.
TIMES = {"log_append_time_ms", "timestamp", "base_timestamp", "max_timestamp"}
TIMES |= {"last_timestamp", "transaction_start_time_ms"}
# What most batches have is not written.
USUAL = {"leader_epoch": 0, "magic": 2, "crc_is_right": True, "attributes": 0}
USUAL |= {"producer_id": -1, "producer_epoch": -1, "base_sequence": -1}
LEFT_OUT = {"throttle_time_ms"}
NOTHING: tuple[Any, ...] = (None, "", -1, 0)
NAMES = ("name", "topic", "group_id", "resource_name", "topic_name", "transactional_id")
PARTITIONS = ("partition_index", "partition", "index")


class Placeholders:
    """The ids met so far in one scenario, and the prefix of its names, which is written ~."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._met: dict[tuple[str, Any], str] = {}
        self._count: dict[str, int] = {}

    def of(self, word: str, value: Any) -> str:
        found = self._met.get((word, value))
        if found is None:
            number = self._count[word] = self._count.get(word, 0) + 1
            found = self._met[word, value] = f"<{word} {number}>"
        return found


def plain(message: Any, version: int, ids: Placeholders, only: str | None = None) -> Any:
    """The message as dicts, lists and scalars; `only` filters the items of its lists by name."""
    if isinstance(message, bytes | memoryview):
        return short(bytes(message))
    if not isinstance(message, Struct):
        return message
    out: dict[str, Any] = {}
    for name, field in message.FIELDS.items():
        if is_in(version, field.on_wire) and name not in LEFT_OUT:
            out[name] = _value(name, field, getattr(message, name), version, ids, only)
    return out


def _value(
    name: str, field: Field, value: Any, version: int, ids: Placeholders, only: str | None
) -> Any:
    if field.kind == Kind.ARRAY and value is not None:
        if isinstance(field.item, Field):
            if name in ("partitions", "subscribed_topic_names"):  # a set
                value = sorted(value)
            return [_value(name, field.item, item, version, ids, only) for item in value]
        kept = value
        if only is not None:
            kept = [item for item in value if _first(item, NAMES, only).startswith(only)]
        return [plain(item, version, ids) for item in _sorted(kept)]
    if field.kind == Kind.STRUCT:
        return None if value is None else plain(value, version, ids)
    if name == "records" and value is not None:
        return [_batch(batch, ids) for batch in read_batches(bytes(value))]
    if field.kind == Kind.UUID:
        value = value.hex() if any(value) else None
    return scalar(name, value, ids)


def scalar(name: str, value: Any, ids: Placeholders) -> Any:
    """A single value, or its placeholder."""
    if isinstance(value, bytes | memoryview):
        return short(bytes(value))
    if name in IDS:
        # 0 is a producer id, but a session that does not exist.
        absent = value in NOTHING and not (name == "producer_id" and value == 0)
        return value if absent else ids.of(IDS[name], value)
    if name in BLANK:
        return value if value in NOTHING else f"<{BLANK[name]}>"
    if isinstance(value, str):
        return value.replace(ids.prefix, "~")
    if name in TIMES and value > T0 + 10**11:
        return "<now>"
    return value


def _batch(batch: dict[str, Any], ids: Placeholders) -> dict[str, Any]:
    return {
        name: scalar(name, value, ids)
        for name, value in batch.items()
        if USUAL.get(name, ...) != value
    }


def _sorted(items: list[Any]) -> list[Any]:
    """Items by name or partition, when all have one: the order of topics says nothing."""
    for names in (NAMES, PARTITIONS):
        keys = [_first(item, names) for item in items]
        if all(key is not None and key != "" for key in keys):
            order = sorted(range(len(items)), key=keys.__getitem__)
            return [items[i] for i in order]
    return items


def _first(item: Any, names: tuple[str, ...], default: Any = None) -> Any:
    return next((found for n in names if (found := getattr(item, n, None)) is not None), default)
