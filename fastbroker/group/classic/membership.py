"""Heartbeat and LeaveGroup: staying a member, and going."""
from __future__ import annotations

from collections.abc import Callable

from fastbroker.errors import (
    CoordinatorNotAvailable,
    IllegalGeneration,
    KafkaError,
    RebalanceInProgress,
    UnknownMemberId,
)
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.group_log import listed, shortened
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

SINGLE_MEMBER = 2  # up to this version a request names one member, answered at the top


def heartbeat(group: ClassicGroup, request: HeartbeatRequest) -> None:
    """Prolong a member's session.

    Raises CoordinatorNotAvailable, UnknownMemberId, FencedInstanceId, IllegalGeneration, and
    RebalanceInProgress for a member that is to join again.
    """
    if group.state is State.DEAD:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    member = group.roster.check(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation_id:
        raise IllegalGeneration(f"the group is in generation {group.generation_id}: join again")
    group.touch(member)
    if group.state is State.PREPARING:
        raise RebalanceInProgress("the group rebalances: join again")


def leave(group: ClassicGroup, request: LeaveGroupRequest, api_version: int) -> LeaveGroupResponse:
    """Remove members, by id or by instance id; one rebalance for all of them.

    Raises CoordinatorNotAvailable, and up to version 2 what a member's own error is from then on.
    """
    if group.state is State.DEAD:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    leaving = leaving_members(request, api_version)
    answers: list[Callable[[], None]] = []
    told, gone = [], []
    for one in leaving:
        error_code = 0
        try:
            answers += _strike_out(group, one)
            gone.append(_name(one))
        except KafkaError as error:
            if api_version <= SINGLE_MEMBER:
                raise
            error_code = error.code
        told.append(
            LeaveGroupResponse.MemberResponse(
                member_id=one.member_id,
                group_instance_id=one.group_instance_id,
                error_code=error_code,
            )
        )
    if gone:
        group.after_removal("left: " + listed(gone, separator="; "))
    for answer in answers:
        answer()
    return LeaveGroupResponse(members=told)


def leaving_members(
    request: LeaveGroupRequest, api_version: int
) -> list[LeaveGroupRequest.MemberIdentity]:
    """Who is to leave, in any version."""
    if api_version <= SINGLE_MEMBER:
        return [LeaveGroupRequest.MemberIdentity(member_id=request.member_id)]
    return request.members


def _strike_out(
    group: ClassicGroup, one: LeaveGroupRequest.MemberIdentity
) -> list[Callable[[], None]]:
    roster = group.roster
    if one.member_id in roster.pending:
        roster.forget_pending(one.member_id)
        return []
    member_id = one.member_id
    if not member_id:  # an administrator removes whoever has the instance id
        if one.group_instance_id is None:
            raise UnknownMemberId("name a member id or a group.instance.id")
        member_id = roster.static.get(one.group_instance_id, "")
    return [group.strike_out(roster.check(member_id, one.group_instance_id))]


def _name(one: LeaveGroupRequest.MemberIdentity) -> str:
    reason = shortened(one.reason or "no reason given")
    return f"{one.group_instance_id or one.member_id} ({reason})"
