"""JoinGroup: who may join, with which id, and whether that takes a rebalance.

Kafka: classicGroupJoin; KIP-345 (static members), KIP-394 (member id first), KIP-814 (skipping
the assignment).
"""
from __future__ import annotations

from collections.abc import Callable

from fastbroker.coordination.append_error import append_error
from fastbroker.errors import (
    CoordinatorNotAvailable,
    FencedInstanceId,
    GroupMaxSizeReached,
    InconsistentGroupProtocol,
    MemberIdRequired,
    UnknownMemberId,
)
from fastbroker.group.caller import Caller
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.member import Member
from fastbroker.group.classic.record import group_record
from fastbroker.group.classic.state import State
from fastbroker.group.group_log import shortened
from fastbroker.model import Deferred
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupResponse

MEMBER_ID_FIRST = 4  # from this version on, a newcomer is told its id before it becomes a member
SKIPS_ASSIGNMENT = 9
NAME_MAX = 1_000  # characters of a client's own name in the member id it is given

Answer = JoinGroupResponse | Deferred[JoinGroupResponse]


def join(
    group: ClassicGroup,
    caller: Caller,
    request: JoinGroupRequest,
    new_member_id: Callable[[str], str],
) -> Answer:
    """Answer a JoinGroup, now or when the rebalance it takes part in is complete.

    new_member_id: an id that starts with the given text and is like no other.
    Raises CoordinatorNotAvailable, GroupMaxSizeReached, InconsistentGroupProtocol,
    UnknownMemberId, FencedInstanceId.
    """
    if group.state is State.DEAD:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    _check_size(group, request.member_id)
    protocols = {p.name: bytes(p.metadata) for p in request.protocols}
    _check_protocols(group, request.protocol_type, protocols)
    if request.member_id:
        return _join_again(group, caller, request, protocols)
    instance_id = request.group_instance_id
    name = instance_id if instance_id is not None else caller.client_id or ""
    member_id = new_member_id(name[:NAME_MAX])
    if instance_id in group.roster.static:
        return _replace(group, caller, request, protocols, member_id)
    if instance_id is None and caller.api_version >= MEMBER_ID_FIRST:
        group.hand_out(member_id, caller, request.session_timeout_ms)
        return JoinGroupResponse(error_code=MemberIdRequired.code, member_id=member_id)
    return _admit(group, caller, request, protocols, member_id)


def _check_size(group: ClassicGroup, member_id: str) -> None:
    """Raise GroupMaxSizeReached for a member too many.

    In a rebalance those who wait are counted: when the limit was lowered, the last to come go.
    """
    roster, limit = group.roster, group.settings.max_size
    member = roster.members.get(member_id)
    if group.state is State.PREPARING:
        fits = roster.joining < limit or (member is not None and member.awaiting_join is not None)
    else:
        fits = len(roster) < limit or member is not None
    if not fits:
        roster.forget_pending(member_id)
        if member is not None:
            group.strike_out(member)()
        group.complete_if_all_joined()
        raise GroupMaxSizeReached(f"the group has group.max.size={limit} members: raise the limit")


def _check_protocols(
    group: ClassicGroup, protocol_type: str, protocols: dict[str, bytes]
) -> None:
    if not len(group.roster):
        if protocol_type and protocols:
            return
        raise InconsistentGroupProtocol("a member names a protocol type and at least one protocol")
    if protocol_type != group.protocol_type:
        raise InconsistentGroupProtocol(f"the group's protocol type is {group.protocol_type!r}")
    if not group.roster.supports(protocols):
        raise InconsistentGroupProtocol("no protocol is supported by every member of the group")


def _rebalance_timeout_ms(request: JoinGroupRequest) -> int:
    """Version 0 has none: the session timeout stands for it."""
    timeout_ms: int = request.rebalance_timeout_ms
    return request.session_timeout_ms if timeout_ms < 0 else timeout_ms


def _admit(
    group: ClassicGroup,
    caller: Caller,
    request: JoinGroupRequest,
    protocols: dict[str, bytes],
    member_id: str,
) -> Answer:
    answer: Deferred[JoinGroupResponse] = Deferred()
    member = Member(
        member_id=member_id,
        group_instance_id=request.group_instance_id,
        client_id=caller.client_id or "",
        client_host=caller.client_host,
        rebalance_timeout_ms=_rebalance_timeout_ms(request),
        session_timeout_ms=request.session_timeout_ms,
        protocols=protocols,
    )
    group.admit(
        member,
        protocol_type=request.protocol_type,
        answer=answer,
        reason=_because(f"member {member_id} joins", request),
    )
    return answer


def _join_again(
    group: ClassicGroup, caller: Caller, request: JoinGroupRequest, protocols: dict[str, bytes]
) -> Answer:
    """A JoinGroup of someone with a member id."""
    member_id = request.member_id
    if member_id in group.roster.pending:
        if request.group_instance_id is not None:
            raise UnknownMemberId("the id was given to a dynamic member: join again without it")
        return _admit(group, caller, request, protocols, member_id)
    member = group.roster.check(member_id, request.group_instance_id)
    same = list(member.protocols.items()) == list(protocols.items())
    leads = group.roster.leader == member_id
    if same and (
        group.state is State.COMPLETING or (group.state is State.STABLE and not leads)
    ):
        # Its answer was lost. A stable group's leader means it: the topics changed, say.
        return group.join_response(member)
    _update(group, member, request, protocols)
    answer: Deferred[JoinGroupResponse] = Deferred()
    what = "leader" if leads else "member"
    group.rejoin(member, answer, _because(f"{what} {member_id} joins again", request))
    return answer


def _replace(
    group: ClassicGroup,
    caller: Caller,
    request: JoinGroupRequest,
    protocols: dict[str, bytes],
    member_id: str,
) -> Answer:
    """A static member comes back under a new id; the old one is fenced (KIP-345).

    A stable group whose protocol stays the same is not rebalanced: the new id is stored, then
    answered. When storing fails the id stays; the member is told the error and comes with another.
    """
    roster = group.roster
    instance_id = request.group_instance_id
    assert instance_id is not None
    member = roster.members[roster.static[instance_id]]
    old_leader = roster.leader
    fenced_join, fenced_sync = roster.take_join(member), member.take_sync()
    fenced_id = member.member_id
    group.rename(member, member_id)
    member.client_id, member.client_host = caller.client_id or "", caller.client_host
    _update(group, member, request, protocols)
    answer: Deferred[JoinGroupResponse] = Deferred()
    reason = _because(f"static member {instance_id} comes back as {member_id}", request)
    if group.state is State.STABLE and roster.select_protocol() == group.protocol_name:
        skips = caller.api_version >= SKIPS_ASSIGNMENT
        _store_and_answer(group, member, answer, None if skips else old_leader)
    else:
        group.rejoin(member, answer, reason)
    if fenced_join is not None:
        fenced_join.complete(
            JoinGroupResponse(error_code=FencedInstanceId.code, member_id=fenced_id)
        )
    if fenced_sync is not None:
        fenced_sync.complete(SyncGroupResponse(error_code=FencedInstanceId.code))
    return answer


def _store_and_answer(
    group: ClassicGroup,
    member: Member,
    answer: Deferred[JoinGroupResponse],
    told_leader: str | None,
) -> None:
    """Store the new id of a static member, then tell it.

    told_leader: the leader's former id, for a client that knows no skipping: it must not assign.
    """
    group.roster.await_join(member, answer)
    group.touch(member)

    def stored(done: Deferred[None]) -> None:
        if member.awaiting_join is not answer or group.state is not State.STABLE:
            return  # a rebalance answers it, or it was removed or replaced
        group.roster.take_join(member)
        group.touch(member)
        if done.error is not None:
            answer.complete(JoinGroupResponse(error_code=append_error(done.error)))
            return
        response = group.join_response(member)
        if told_leader is None:
            response.skip_assignment = group.roster.leader == member.member_id
        else:
            response.leader, response.members = told_leader, []
        answer.complete(response)

    assignments = {m.member_id: m.assignment for m in group.roster}
    group.store([group_record(group, assignments)]).then(stored)


def _update(
    group: ClassicGroup, member: Member, request: JoinGroupRequest, protocols: dict[str, bytes]
) -> None:
    group.roster.offer(member, protocols)
    member.rebalance_timeout_ms = _rebalance_timeout_ms(request)
    member.session_timeout_ms = request.session_timeout_ms


def _because(what: str, request: JoinGroupRequest) -> str:
    return f"{what}; client's reason: {shortened(request.reason or 'not given')}"
