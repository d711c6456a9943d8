"""Facts of a file for people: which columns, and what stands in them."""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from fastbroker.cli.log.values import readable
from fastbroker.cli.output import ABSENT, wrapped

Fact = dict[str, Any]
_BELOW = "      "


class View(NamedTuple):
    """header: the columns' names; those that begin with ">" are aligned to the right."""

    header: Sequence[str]
    row: Callable[[Fact], Sequence[object]]


def moment_ms(ms: int) -> str:
    """A time in UTC, to the millisecond; - for none."""
    if ms < 0:
        return ABSENT
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(" ", "milliseconds")[:23]
    except (ValueError, OverflowError, OSError):  # a producer may write any number
        return f"{ms} ms"


def _batch(fact: Fact) -> Sequence[object]:
    if fact["type"] == "no batch":
        return fact["position"], "", fact["size"], "", "", "", "", "no batch"
    return (
        fact["position"],
        _span(fact["base_offset"], fact["last_offset"]),
        fact["size"],
        fact["codec"],
        fact["leader_epoch"],
        moment_ms(fact["max_timestamp"]),
        _producer(fact),
        ", ".join(_remarks(fact)),
    )


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}..{last}"


def _producer(fact: Fact) -> str:
    if fact["producer_id"] < 0:
        return ABSENT
    name = f"{fact['producer_id']}/{fact['producer_epoch']}"
    if fact["base_sequence"] < 0:
        return name
    return f"{name}: {_span(fact['base_sequence'], fact['last_sequence'])}"


def _remarks(fact: Fact) -> list[str]:
    out = []
    for one in fact.get("control_records", ()):
        leader = (one.get("value") or {}).get("leader_id")
        out.append(one["type"] if leader is None else f"{one['type']} (leader {leader})")
    if fact["transactional"] and not fact["control"]:
        out.append("transactional")
    if fact["records"] != fact["last_offset"] - fact["base_offset"] + 1:
        out.append(f"{fact['records']} records")
    if fact["timestamp_type"] == "LogAppendTime":
        out.append("append time")
    if fact["delete_horizon"] is not None:
        out.append(f"delete horizon {moment_ms(fact['delete_horizon'])}")
    return out


def wrong_lines(fact: Fact, width: int | None) -> str:
    """What is wrong with a batch, below it."""
    return wrapped(f"{_BELOW}WRONG: {fact['wrong']}", width, indent=_BELOW + "  ")


def record_lines(fact: Fact, width: int | None) -> str:
    """A record below its batch: where, when, key, value, headers, or what it says."""
    record = fact["raw"]
    parts = [f"{_BELOW}{record.offset}", moment_ms(record.timestamp)]
    said = fact.get("decoded")
    if said is not None:
        parts.append(said["type"])
        for name in ("key", "value"):
            if name in said:
                value = said[name]
                parts.append("tombstone" if value is None else _compact(value))
        if "error" in said:
            parts.append(said["error"])
    if said is None or "error" in said:
        parts += [f"key {readable(record.key)}", f"value {readable(record.value)}"]
    if record.headers:
        named = ", ".join(f"{name}={readable(data)}" for name, data in record.headers)
        parts.append(f"headers {named}")
    return wrapped("  ".join(parts), width, indent=_BELOW + "  ")


def _compact(value: Any) -> str:
    """Fields with their names; those that say nothing are left out."""
    if isinstance(value, dict):
        shown = (f"{name}={_compact(one)}" for name, one in value.items() if one not in _EMPTY)
        return "{" + ", ".join(shown) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_compact(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


_EMPTY: tuple[Any, ...] = (None, [], "", {})

VIEWS = {
    "batch": View(
        (">position", "offsets", ">bytes", "codec", ">epoch", "latest (UTC)", "producer",
         "remarks"),
        _batch,
    ),
    "offset": View(
        (">entry", ">offset", ">position", ""),
        lambda fact: (fact["entry"], fact["offset"], fact["position"], ""),
    ),
    "time": View(
        (">entry", "timestamp (UTC)", ">offset", ""),
        lambda fact: (fact["entry"], moment_ms(fact["timestamp"]), fact["offset"], ""),
    ),
    "aborted": View(
        (">entry", ">producer", ">first offset", ">marker", ">last stable", ""),
        lambda fact: (
            fact["entry"], fact["producer_id"], fact["first_offset"], fact["last_offset"],
            fact["last_stable_offset"],
            "" if fact["version"] == 0 else f"WRONG: version {fact['version']}",
        ),
    ),
    "journal": View(
        (">position", ">frame", ">bytes", ">segment", ">at", ">up to", "partition", ""),
        lambda fact: (
            fact["position"], fact["sequence"], fact["size"], fact["segment"],
            fact["segment_position"], fact["end_offset"], fact["directory"],
            "" if fact["counts"] else "of before",
        ),
    ),
    "producer": View(
        (">producer", ">epoch", ">last sequence", "last offsets", "last write (UTC)",
         ">coordinator", "open transaction"),
        lambda fact: (
            fact["producer_id"], fact["producer_epoch"], _or_absent(fact["last_sequence"]),
            ABSENT if fact["last_offset"] < 0
            else _span(fact["last_offset"] - fact["offset_delta"], fact["last_offset"]),
            moment_ms(fact["timestamp"]), _or_absent(fact["coordinator_epoch"]),
            "" if fact["transaction_first_offset"] < 0
            else f"from {fact['transaction_first_offset']} on",
        ),
    ),
}  # fmt: skip
VIEWS["no batch"] = VIEWS["batch"]


def _or_absent(number: int) -> object:
    return number if number >= 0 else ABSENT
