"""How a move of offsets is shown, before or after it is done."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbroker.cli.group.description import DEAD, Description
from fastbroker.cli.group.targets import Move, skipped
from fastbroker.cli.output import ABSENT, count, table
from fastbroker.group.backlog import NO_COMMIT, Bounds
from fastbroker.model import TopicPartition


def page(
    group: Description, moves: Sequence[Move], known: Mapping[TopicPartition, Bounds], *,
    width: int | None,
) -> str:  # fmt: skip
    """A line a partition: before and after, and what that skips or has read again."""
    rows = []
    for one in moves:
        over = skipped(one, known[one.partition])
        effect = f"skips {count(over, 'record')}" if over > 0 else ""
        effect = f"reads {count(-over, 'record')} again" if over < 0 else effect
        rows.append(
            (
                one.partition.topic,
                one.partition.partition,
                one.before if one.before != NO_COMMIT else ABSENT,
                one.after,
                "; ".join(filter(None, (effect, one.note))),
            )
        )
    head = group.group if group.state != DEAD else f"{group.group} (a new group)"
    return f"{head}\n" + table(
        ("topic", "partition", "before", "after", ""), rows, indent="  ", width=width
    )


def as_json(name: str, moves: Sequence[Move], *, is_done: bool) -> dict[str, Any]:
    """The moves for programs; null: nothing committed before."""
    return {
        "group": name,
        "executed": is_done,
        "partitions": [
            {
                "topic": one.partition.topic,
                "partition": one.partition.partition,
                "before": one.before if one.before != NO_COMMIT else None,
                "after": one.after,
                "note": one.note or None,
            }
            for one in moves
        ],
    }
