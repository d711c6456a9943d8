"""How a group's lag is shown to people, and to programs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastbroker.cli.durations import duration
from fastbroker.cli.group.backlog import Total, is_uncommitted, total
from fastbroker.cli.output import ABSENT, count, table, wrapped
from fastbroker.cli.spans import topics_text
from fastbroker.group.backlog import Unread

HEADER = ("topic", "partition", "committed", "end", "lag", "behind", "deleted in")
SUMMARY_HEADER = ("group", "partitions", "lag", "behind", "deleted in", "note")


def page(group: str, parts: Sequence[Unread], *, width: int | None) -> str:
    """A line a partition, the sum, and a line for each thing that is not in order."""
    rows: list[Sequence[object]] = [
        (
            one.partition.topic,
            one.partition.partition,
            one.committed if one.committed >= 0 else ABSENT,
            one.bounds.end if one.bounds is not None else ABSENT,
            one.records if one.records is not None else ABSENT,
            _behind(one.behind_ms),
            _left(one.deleted_in_ms, is_estimate=one.is_estimate),
        )
        for one in parts
    ]
    sum_ = total(parts)
    if not parts:
        return f"{group}: nothing committed"
    left = _left(sum_.deleted_in_ms, is_estimate=sum_.is_estimate)
    records = ABSENT if sum_.uncommitted + sum_.unknown == sum_.partitions else sum_.records
    if len(parts) > 1:
        rows.append(("total", ABSENT, ABSENT, ABSENT, records, _behind(sum_.behind_ms), left))
    lines = [group, table(HEADER, rows, indent="  ", width=width)]
    where: dict[str, dict[str, list[int]]] = {}  # partitions by topic, of each note
    for one in parts:
        for note in notes(one):
            mine = where.setdefault(note, {}).setdefault(one.partition.topic, [])
            mine.append(one.partition.partition)
    for note, partitions in where.items():
        lines.append(wrapped(f"  {topics_text(partitions)}: {note}", width, indent="    "))
    return "\n".join(lines)


def notes(one: Unread) -> list[str]:
    """What is not in order with a partition."""
    out = []
    if one.problem is not None:
        out.append(one.problem)
    if one.lost:
        out.append(f"already lost {count(one.lost, 'record')}, deleted before the group read them")
    if one.beyond:
        out.append(
            f"the committed offset is {one.beyond:,} past the end; was the topic made anew?"
        )
    if one.held:
        out.append(
            f"an open transaction holds back {count(one.held, 'record')}; "
            "see: fastbroker txn list, or fastbroker txn hanging"
        )
    if is_uncommitted(one):
        out.append("nothing committed here; its readers begin where auto.offset.reset says")
    return out


def summary(totals: Sequence[tuple[str, Total]], *, width: int | None) -> str:
    """A line a group."""
    rows = [
        (
            group,
            sum_.partitions,
            sum_.records if sum_.partitions > sum_.unknown + sum_.uncommitted else ABSENT,
            _behind(sum_.behind_ms),
            _left(sum_.deleted_in_ms, is_estimate=sum_.is_estimate),
            ", ".join(_summary_notes(sum_)),
        )
        for group, sum_ in totals
    ]
    return table(SUMMARY_HEADER, rows, width=width)


def _summary_notes(sum_: Total) -> list[str]:
    out = []
    if sum_.lost:
        out.append(f"lost {count(sum_.lost, 'record')}")
    if sum_.uncommitted:
        out.append(f"{sum_.uncommitted} not committed")
    if sum_.unknown:
        out.append(f"{sum_.unknown} without an answer")
    return out


def _behind(ms: int | None) -> str:
    return ABSENT if ms is None else duration(ms)


def _left(ms: int | None, *, is_estimate: bool) -> str:
    """Until the oldest unread record may be deleted; ~ for an estimate."""
    if ms is None:
        return ABSENT
    if ms <= 0:
        return "any time"
    return f"~{duration(ms)}" if is_estimate else duration(ms)


def as_json(group: str, parts: Sequence[Unread]) -> dict[str, Any]:
    """A group for programs; null where something is unknown or never happens."""
    sum_ = total(parts)
    return {
        "group": group,
        "lag": sum_.records,
        "behind_ms": sum_.behind_ms,
        "lost": sum_.lost,
        "deleted_in_ms": sum_.deleted_in_ms,
        "deleted_in_is_estimate": sum_.is_estimate,
        "uncommitted_partitions": sum_.uncommitted,
        "unknown_partitions": sum_.unknown,
        "partitions": [_part(one) for one in parts],
    }


def _part(one: Unread) -> dict[str, Any]:
    return {
        "topic": one.partition.topic,
        "partition": one.partition.partition,
        "committed_offset": one.committed if one.committed >= 0 else None,
        "log_start_offset": one.bounds.start if one.bounds else None,
        "last_stable_offset": one.bounds.stable if one.bounds else None,
        "high_watermark": one.bounds.end if one.bounds else None,
        "lag": one.records,
        "behind_ms": one.behind_ms,
        "lost": one.lost,
        "deleted_in_ms": one.deleted_in_ms,
        "deleted_in_is_estimate": one.is_estimate,
        "problem": one.problem,
    }
