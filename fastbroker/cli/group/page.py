"""How a group is shown to people, and to programs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastbroker.cli.group.description import DEAD, Description, Member
from fastbroker.cli.output import count, fields, table, wrapped
from fastbroker.cli.spans import topics_text

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


def page(group: Description, address: str, *, width: int | None) -> str:
    """The description for people; address: of the coordinator."""
    meaning = MEANINGS.get(group.state)
    named = [
        ("state", f"{group.state}, {meaning}" if meaning else group.state),
        ("coordinator", f"{group.coordinator} at {address}"),
        ("protocol", _protocol(group)),
        ("generation", "" if group.epoch is None or group.is_consumer else group.epoch),
        ("epoch", _epochs(group)),
        ("members", len(group.members) or "none"),
    ]
    lines = [f"{group.group}  ({group.type} group)", fields(named, width=width)]
    for one in group.waits:
        text = f"  waits for {one.client_id} ({one.member_id}): it {one.what}"
        lines.append(wrapped(text, width, indent="    "))
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
    }


def summary(group: Description) -> str:
    """In a line: `billing (classic, Stable, 3 members)`."""
    return f"{group.group} ({group.type}, {group.state}, {count(len(group.members), 'member')})"
