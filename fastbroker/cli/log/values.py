"""Bytes of records, so that people and programs can read them."""
from __future__ import annotations

import base64
import json
from codecs import getincrementaldecoder
from typing import Any

LONGEST = 100  # characters shown of one value


def readable(data: bytes | None, most: int = LONGEST) -> str:
    """A text in quotes, other bytes in hexadecimal, null; what is too long is cut and counted.

    Nothing in it moves a terminal's cursor or changes its colours.
    """
    if data is None:
        return "null"
    head = data[: most * 4]
    is_whole = len(head) == len(data)
    try:
        text = getincrementaldecoder("utf-8")().decode(head, is_whole)
    except UnicodeDecodeError:
        shown = f"0x{data[: most // 2].hex()}"
        is_whole = len(data) <= most // 2
    else:
        is_whole = is_whole and len(text) <= most
        shown = json.dumps(text[:most], ensure_ascii=not text.isprintable())
    return shown if is_whole else f"{shown}… ({len(data):,} bytes)"


def as_json(name: str, data: bytes | None) -> dict[str, Any]:
    """{name: text}, or {name_base64: ...} for bytes that are not UTF-8."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
