"""How `consume` shows a record: by a pattern, or as JSON."""
from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import click

from fastbroker.records.reader import Record

Show = Callable[[int, Record], bytes]  # (partition, record) -> a line with its end
NULL = b"null"
FIELDS = {
    "t": "topic",
    "p": "partition",
    "o": "offset",
    "T": "timestamp in ms",
    "k": "key",
    "v": "value",
    "h": "headers",
}
_ESCAPES = {"n": b"\n", "t": b"\t", "\\": b"\\"}
_PART = re.compile(r"%(?P<field>.?)|\\(?P<escape>[nt\\])|(?P<text>[^%\\]+|\\)", re.DOTALL)


def by_pattern(pattern: str, topic: str) -> Show:
    """Lines like `pattern`, where %v is the value, and so on (FIELDS). Raises click.UsageError."""
    parts: list[bytes | str] = []
    for found in _PART.finditer(pattern):
        if found["text"]:
            parts.append(found["text"].encode())
        elif found["escape"]:
            parts.append(_ESCAPES[found["escape"]])
        elif found["field"] == "%":
            parts.append(b"%")
        elif found["field"] in FIELDS:
            parts.append(found["field"])
        else:
            known = ", ".join(f"%{letter} {name}" for letter, name in FIELDS.items())
            raise click.UsageError(f"--format has no {found[0]!r}; there are {known}.")
    name = topic.encode()

    if parts == ["v"]:  # by far the most frequent
        return lambda _, record: (NULL if record.value is None else record.value) + b"\n"

    def show(partition: int, record: Record) -> bytes:
        values = {
            "t": name,
            "p": b"%d" % partition,
            "o": b"%d" % record.offset,
            "T": b"%d" % record.timestamp,
            "k": NULL if record.key is None else record.key,
            "v": NULL if record.value is None else record.value,
            "h": _headers(record),
        }
        return b"".join(values[one] if isinstance(one, str) else one for one in parts) + b"\n"

    return show


def as_json(topic: str) -> Show:
    """One JSON object a line; what is not UTF-8 is under key_base64 or value_base64 instead."""

    def show(partition: int, record: Record) -> bytes:
        line: dict[str, Any] = {
            "topic": topic,
            "partition": partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            **_text("key", record.key),
            **_text("value", record.value),
            "headers": [{"name": name, **_text("value", text)} for name, text in record.headers],
        }
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    return show


def _headers(record: Record) -> bytes:
    return b",".join(
        name.encode() + b"=" + (NULL if text is None else text) for name, text in record.headers
    )


def _text(name: str, data: bytes | None) -> dict[str, str | None]:
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
