"""What a classic group waits for, since when, and what ends next: for whoever runs it."""
from __future__ import annotations

from collections.abc import Iterator

from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.member import Member
from fastbroker.group.classic.state import State
from fastbroker.group.group_log import members
from fastbroker.protocol.explanation import LONGEST, AwaitedMember, Deadline, Explanation


def explain(group: ClassicGroup) -> Explanation:
    """The explanation of a group; what is unstable of its offsets is left to the caller."""
    awaited = list(_awaited(group))
    deadlines = sorted(_deadlines(group), key=lambda one: one.at_ms)
    return Explanation(
        now_ms=group.timers.now_ms(),
        since_ms=-1 if group.state_since_ms is None else group.state_since_ms,
        summary=_summary(group, len(awaited)),
        reason=group.reason,
        awaited=awaited[:LONGEST],
        deadlines=deadlines[:LONGEST],
    )


def _summary(group: ClassicGroup, missing: int) -> str:
    count = len(group.roster)
    match group.state:
        case State.EMPTY:
            return "Nobody is a member." if not missing else "Nobody is a member yet."
        case State.PREPARING if group.gathering:
            return f"{members(count)} joined the empty group; more may come."
        case State.PREPARING:
            return f"The group rebalances: it waits for {missing} of {members(count)} to join."
        case State.COMPLETING if group.storing:
            return "The group rebalances: the leader's assignment is being written."
        case State.COMPLETING:
            return (
                f"The group rebalances: generation {group.generation_id} has joined, it waits"
                f" for {missing} of {members(count)} to assign or to ask for their part."
            )
        case State.STABLE:
            return f"Generation {group.generation_id} is at work with {members(count)}."
    return "The group is being deleted."


def _awaited(group: ClassicGroup) -> Iterator[AwaitedMember]:
    """Whoever has to do something before the group can go on."""
    roster, since_ms = group.roster, group.state_since_ms or -1
    if group.state is State.PREPARING and not group.gathering:
        for member in roster:
            if member.awaiting_join is None:
                yield _member(member, "join", since_ms)
    elif group.state in (State.COMPLETING, State.STABLE):
        for member in roster:
            if group.is_missing(member):
                assigns = group.state is State.COMPLETING and member.member_id == roster.leader
                yield _member(member, "assign" if assigns else "sync", since_ms)
    for member_id, expected in roster.pending.items():
        yield AwaitedMember(
            member_id=member_id,
            client_id=expected.client_id,
            client_host=expected.client_host,
            what="come back",
            since_ms=group.wall_ms(expected.since_ms),
        )


def _member(member: Member, what: str, since_ms: int) -> AwaitedMember:
    return AwaitedMember(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        what=what,
        since_ms=since_ms,
    )


def _deadlines(group: ClassicGroup) -> Iterator[Deadline]:
    if group.join_deadline_ms is not None:
        first = group.gathering
        yield Deadline(
            what="first joins" if first else "rebalance",
            at_ms=group.wall_ms(group.join_deadline_ms),
            consequence=(
                "the first generation begins with whoever has joined"
                if first
                else "members that have not joined are removed, static ones excepted, and the"
                " others go on"
            ),
        )
    if group.sync_deadline_ms is not None:
        yield Deadline(
            what="sync",
            at_ms=group.wall_ms(group.sync_deadline_ms),
            consequence="members that have not asked for their part are removed, and the others"
            " rebalance",
        )
    for member_id, expected in group.roster.pending.items():
        yield Deadline(
            what="session",
            member_id=member_id,
            at_ms=group.wall_ms(expected.deadline_ms),
            consequence="the id that it was given is forgotten, and not waited for any more",
        )
    for member in group.roster:
        if member.session is None or (member.waits and not member.is_new):
            continue  # it waits for us
        yield Deadline(
            what="session",
            member_id=member.member_id,
            group_instance_id=member.group_instance_id,
            at_ms=group.wall_ms(member.deadline_ms),
            consequence=(
                "its JoinGroup is given up" if member.is_new else "it is removed from the group"
            )
            + (", which rebalances" if group.state is State.STABLE else ""),
        )
    empty_since_ms = group.state_since_ms if group.state is State.EMPTY else None
    if empty_since_ms is not None and group.protocol_type is not None:
        yield Deadline(
            what="offsets",
            at_ms=empty_since_ms + group.settings.offsets_retention_ms,
            consequence="those that have a retention of their own go by that",
        )
