"""What a consumer group waits for, since when, and what ends next: for whoever runs it."""
from __future__ import annotations

from collections.abc import Iterator

from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import ConsumerMember
from fastbroker.group.consumer.state import GroupState, MemberState
from fastbroker.protocol.explanation import LONGEST, AwaitedMember, Deadline, Explanation


def explain(group: ConsumerGroup) -> Explanation:
    """The explanation of a group; what is unstable of its offsets is left to the caller."""
    awaited = list(_awaited(group))
    deadlines = sorted(_deadlines(group), key=lambda one: one.at_ms)
    return Explanation(
        now_ms=group.timers.now_ms(),
        since_ms=group.raised_at_ms,
        summary=_summary(group),
        reason=group.reason,
        awaited=awaited[:LONGEST],
        deadlines=deadlines[:LONGEST],
    )


def _summary(group: ConsumerGroup) -> str:
    members = len(group.members)
    match group.state:
        case GroupState.EMPTY:
            return "Nobody is a member."
        case GroupState.ASSIGNING:
            return f"An assignment for epoch {group.epoch} and {members} members is to be made."
        case GroupState.RECONCILING:
            late = sum(not _is_there(group, one) for one in group.members.values())
            return f"{late} of {members} members are on their way to epoch {group.target_epoch}."
        case GroupState.STABLE:
            return f"Epoch {group.epoch} is at work with {members} members."
    return "The group is being deleted."


def _is_there(group: ConsumerGroup, member: ConsumerMember) -> bool:
    return member.now.is_reconciled_to(group.target_epoch)


def _awaited(group: ConsumerGroup) -> Iterator[AwaitedMember]:
    """Whoever has to do something; not those who wait for others to let go of partitions."""
    for member in group.members.values():
        if group.state is not GroupState.RECONCILING or _is_there(group, member):
            continue
        if member.now.state is MemberState.UNRELEASED_PARTITIONS and group.waits_for_others(member):
            continue
        release = member.now.state is MemberState.UNREVOKED_PARTITIONS
        since_ms = -1
        if release and member.rebalance is not None:
            since_ms = member.release_by_ms - member.said.rebalance_timeout_ms
        yield AwaitedMember(
            member_id=member.member_id,
            group_instance_id=member.said.instance_id,
            client_id=member.said.client_id,
            client_host=member.said.client_host,
            what="let go of partitions" if release else "send a heartbeat",
            since_ms=-1 if since_ms < 0 else _wall_ms(group, since_ms),
        )


def _deadlines(group: ConsumerGroup) -> Iterator[Deadline]:
    for member in group.members.values():
        gone = "it is removed from the group, and others get its partitions"
        for what, timer, by_ms in (
            ("rebalance", member.rebalance, member.release_by_ms),
            ("sync", member.sync, member.sync_by_ms),
            ("session", member.session, member.deadline_ms),
        ):
            if timer is not None:
                yield Deadline(
                    what=what,
                    member_id=member.member_id,
                    group_instance_id=member.said.instance_id,
                    at_ms=_wall_ms(group, by_ms),
                    consequence=gone,
                )


def _wall_ms(group: ConsumerGroup, monotonic_ms: int) -> int:
    return group.timers.now_ms() + monotonic_ms - group.timers.monotonic_ms()
