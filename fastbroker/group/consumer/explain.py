"""What a consumer group waits for and what ends next: for whoever runs it."""
from __future__ import annotations

from collections.abc import Iterator

from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import ConsumerMember
from fastbroker.group.consumer.state import GroupState, MemberState
from fastbroker.group.group_log import members
from fastbroker.protocol.explanation import LONGEST, AwaitedMember, Deadline, Explanation


def explain(group: ConsumerGroup) -> Explanation:
    """The explanation of a group; what is unstable of its offsets is left to the caller."""
    awaited = list(_awaited(group))
    deadlines = sorted(_deadlines(group), key=lambda one: one.at_ms)
    return Explanation(
        now_ms=group.timers.now_ms(),
        since_ms=group.raised_at_ms,
        summary=_summary(group, awaited),
        reason=group.reason,
        awaited=awaited[:LONGEST],
        deadlines=deadlines[:LONGEST],
    )


def _summary(group: ConsumerGroup, awaited: list[AwaitedMember]) -> str:
    count = len(group.members)
    match group.state:
        case GroupState.EMPTY:
            return "Nobody is a member."
        case GroupState.ASSIGNING:
            return f"Epoch {group.epoch} has begun; its assignment is made in a moment."
        case GroupState.RECONCILING:
            return (
                f"The group rebalances: it waits for {len(awaited)} of {members(count)} to follow"
                f" the assignment of epoch {group.target_epoch}."
            )
        case GroupState.STABLE:
            return f"Epoch {group.epoch} is at work with {members(count)}."
    return "The group is being deleted."


def _awaited(group: ConsumerGroup) -> Iterator[AwaitedMember]:
    """Whoever has to do something before the group can go on."""
    for member in group.members.values():
        what = _what(group, member)
        if what is not None:
            said = member.said
            yield AwaitedMember(
                member_id=member.member_id,
                group_instance_id=said.instance_id,
                client_id=said.client_id,
                client_host=said.client_host,
                what=what,
                since_ms=group.raised_at_ms,
            )


def _what(group: ConsumerGroup, member: ConsumerMember) -> str | None:
    now = member.now
    if now.epoch < 0:
        return "come back"
    if now.state is MemberState.UNREVOKED_PARTITIONS:
        count = sum(map(len, now.revoking.values()))
        return f"let go of {count} partitions"
    if now.epoch < group.target_epoch:
        return "join again" if member.is_classic else "send a heartbeat"
    if member.sync is not None:
        return "sync"
    if now.state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member):
        return "join again" if member.is_classic else "send a heartbeat"
    return None  # it is done, or waits for others, who are told of


def _deadlines(group: ConsumerGroup) -> Iterator[Deadline]:
    wall_ms = group.timers.now_ms() - group.timers.monotonic_ms()
    ends = "it is removed from the group, which rebalances"
    for member in group.members.values():
        for what, timer, at_ms in (
            ("session", member.session, member.deadline_ms),
            ("rebalance", member.rebalance, member.rebalance_until_ms),
            ("sync", member.sync, member.sync_until_ms),
        ):
            if timer is not None:
                yield Deadline(
                    what=what,
                    member_id=member.member_id,
                    group_instance_id=member.said.instance_id,
                    at_ms=wall_ms + at_ms,
                    consequence=ends,
                )
