"""How a group is shown to people, and to programs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastbroker.cli.durations import duration, moment
from fastbroker.cli.group.description import DEAD, Description, Member, Wait
from fastbroker.cli.output import fields, table
from fastbroker.cli.spans import topics_text
from fastbroker.protocol.explanation import AwaitedMember, Deadline, Explanation
from fastbroker.protocol.schema import Struct

# What a state means to somebody who has not read the protocol.
MEANINGS = {
    "Empty": "no members; its committed offsets remain",
    "Stable": "each member has its partitions",
    "PreparingRebalance": "members are joining; nobody reads until all have",
    "CompletingRebalance": "all have joined; the leader deals the partitions",
    "Assigning": "the coordinator deals the partitions",
    "Reconciling": "members give up and take partitions; the others go on reading",
    DEAD: "there is no such group",
}
# What each deadline of our broker's explanation is about.
ENDS = {
    "rebalance": "the rebalance ends",
    "first joins": "the wait for the first members ends",
    "sync": "the wait for their sync ends",
    "session": "its session ends",
    "offsets": "the offsets expire",
}


def page(group: Description, address: str, *, width: int | None) -> str:
    """The description for people; address: of the coordinator."""
    meaning = MEANINGS.get(group.state)
    named: list[tuple[str, object]] = [
        ("state", f"{group.state}, {meaning}" if meaning else group.state),
        ("coordinator", f"{group.coordinator} at {address}"),
        ("protocol", _protocol(group)),
        ("epoch", _epochs(group)),
        ("members", len(group.members) or "none"),
    ]
    named += _explained(group.explanation) if group.explanation is not None else []
    if group.explanation is None or not group.explanation.awaited:
        named += [("waits for", f"{_name(one)}: it {one.what}") for one in group.waits]
    lines = [f"{group.group}  ({group.type} group)", fields(named, width=width)]
    if group.members:
        lines.append(_members(group.members, width))
    return "\n".join(lines)


def _protocol(group: Description) -> str:
    if group.is_consumer:
        return f"consumer (KIP-848), assignor {group.assignor or 'not chosen yet'}"
    if not group.protocol_type:
        return ""
    return f"{group.protocol_type}, {group.assignor or 'not chosen yet'}"


def _epochs(group: Description) -> str:
    if not group.is_consumer or group.epoch is None:
        return ""
    if group.assignment_epoch == group.epoch:
        return str(group.epoch)
    return f"{group.epoch}, partitions dealt in {group.assignment_epoch}"


def _explained(why: Explanation) -> list[tuple[str, object]]:
    """What our broker adds: since when, for whom the group waits, and what ends next."""
    out: list[tuple[str, object]] = [("now", why.summary)]
    if why.since_ms >= 0:
        out.append(("since", f"{moment(why.since_ms)}, {duration(why.now_ms - why.since_ms)} ago"))
    out.append(("because", why.reason))
    ends = {one.member_id: one for one in why.deadlines}
    for one in why.awaited:
        since = f", for {duration(why.now_ms - one.since_ms)}" if one.since_ms >= 0 else ""
        end = ends.get(one.member_id)
        then = f"; {_deadline(end, why.now_ms)}" if end is not None else ""
        out.append(("waits for", f"{_name(one)}: it has to {one.what}{since}{then}"))
    # The sessions of the others are prolonged all the time, and nobody waits for their end.
    out += [("next", _deadline(one, why.now_ms)) for one in why.deadlines if not one.member_id]
    topics: dict[str, list[int]] = {}
    for offset in why.unstable_offsets:
        topics.setdefault(offset.topic, []).append(offset.partition)
    if topics:
        text = "offsets wait for the end of a transaction (see: fastbroker txn list)"
        out.append(("pending", f"{topics_text(topics)}: {text}"))
    return out


def _deadline(end: Deadline, now_ms: int) -> str:
    what = ENDS.get(end.what, f"{end.what} ends")
    when = f"in {duration(end.at_ms - now_ms)}" if end.at_ms > now_ms else "now"
    return f"{what} {when}" + (f": {end.consequence}" if end.consequence else "")


def _name(one: Wait | AwaitedMember) -> str:
    return f"{one.client_id} ({one.member_id})" if one.client_id else one.member_id


def _members(members: Sequence[Member], width: int | None) -> str:
    has_instances = any(one.instance_id for one in members)
    has_epochs = any(one.epoch is not None for one in members)
    header = ["client", "host"]
    header += ["instance"] if has_instances else []
    header += ["epoch"] if has_epochs else []
    header += ["member", "partitions"]
    rows = []
    for one in sorted(members, key=lambda one: (one.client_id, one.member_id)):
        row: list[object] = [one.client_id, one.host]
        row += [one.instance_id or "none"] if has_instances else []
        row += [one.epoch] if has_epochs else []
        row += [one.member_id, _assigned(one)]
        rows.append(row)
    return table(header, rows, indent="  ", width=width)


def _assigned(one: Member) -> str:
    if one.assigned is None:
        return "unknown"
    return topics_text(one.assigned) or "none"


def as_json(group: Description, address: str) -> dict[str, Any]:
    """The description for programs."""
    return {
        "group": group.group,
        "type": group.type,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "assignor": group.assignor,
        "epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "coordinator": {"id": group.coordinator, "address": address},
        "members": [
            {
                "member_id": one.member_id,
                "client_id": one.client_id,
                "host": one.host,
                "instance_id": one.instance_id,
                "epoch": one.epoch,
                "partitions": one.assigned,
                "target_partitions": one.target,
            }
            for one in group.members
        ],
        "waits_for": [one._asdict() for one in group.waits],
        "explanation": None if group.explanation is None else plain(group.explanation),
    }


def plain(value: Any) -> Any:
    """A message's struct as dicts and lists."""
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.FIELDS}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value
