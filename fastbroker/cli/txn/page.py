"""How a transaction is shown to people, and to programs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastbroker.cli.durations import duration, moment
from fastbroker.cli.output import ABSENT, fields, table
from fastbroker.cli.txn.transaction import MEANINGS, Held, Transaction, next_step

HEADER = ("topic", "partition", "begins at", "last stable", "end", "held back", "by")


def page(
    one: Transaction, parts: Sequence[Held], *, address: str, now_ms: int, width: int | None
) -> str:
    """The description for people; address: of the coordinator."""
    meaning = MEANINGS.get(one.state)
    age = one.age_ms(now_ms)
    named = [
        ("state", f"{one.state}, {meaning}" if meaning else one.state),
        ("next", next_step(one, now_ms)),
        ("coordinator", f"{one.coordinator} at {address}"),
        ("producer", f"{one.producer_id}, epoch {one.producer_epoch}"),
        ("timeout", duration(one.timeout_ms)),
    ]
    if age is not None and one.started_ms is not None:
        named.append(("started", f"{moment(one.started_ms)}, {duration(age)} ago"))
    lines = [one.transactional_id, fields(named, width=width)]
    if parts:
        rows = [
            (
                each.partition.topic,
                each.partition.partition,
                ABSENT if each.first is None else each.first,
                each.bounds.stable,
                each.bounds.end,
                each.records,
                _holder(one, each),
            )
            for each in parts
        ]
        lines.append(table(HEADER, rows, indent="  ", width=width))
    return "\n".join(lines)


def _holder(one: Transaction, each: Held) -> str:
    """Whose transaction keeps readers of committed records from the end."""
    if not each.records:
        return ""
    if each.by is None:
        return "unknown"
    if each.by.producer_id == one.producer_id:
        return "this one"
    return f"producer {each.by.producer_id}, from {each.by.start_offset} on"


def as_json(one: Transaction, parts: Sequence[Held], *, address: str) -> dict[str, Any]:
    """The description for programs."""
    ends = one.started_ms + one.timeout_ms if one.is_open and one.started_ms is not None else None
    return {
        "transactional_id": one.transactional_id,
        "state": one.state,
        "coordinator": {"id": one.coordinator, "address": address},
        "producer_id": one.producer_id,
        "producer_epoch": one.producer_epoch,
        "timeout_ms": one.timeout_ms,
        "started_ms": one.started_ms,
        "times_out_at_ms": ends,
        "partitions": [
            {
                "topic": each.partition.topic,
                "partition": each.partition.partition,
                "first_offset": each.first,
                "last_stable_offset": each.bounds.stable,
                "high_watermark": each.bounds.end,
                "held_back": each.records,
                "held_by_producer_id": each.by.producer_id if each.by and each.records else None,
            }
            for each in parts
        ],
    }
