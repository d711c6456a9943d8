"""SyncGroup: the leader brings the assignment, everyone takes its part."""
from __future__ import annotations

from fastbroker.errors import (
    CoordinatorNotAvailable,
    IllegalGeneration,
    InconsistentGroupProtocol,
    RebalanceInProgress,
)
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.model import Deferred
from fastbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse


def sync(
    group: ClassicGroup, request: SyncGroupRequest
) -> SyncGroupResponse | Deferred[SyncGroupResponse]:
    """Answer a SyncGroup: at once in a stable group, else when the assignment is stored.

    Raises CoordinatorNotAvailable, UnknownMemberId, FencedInstanceId, IllegalGeneration,
    InconsistentGroupProtocol, RebalanceInProgress.
    """
    if group.state is State.DEAD:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    member = group.roster.check(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation_id:
        raise IllegalGeneration(f"the group is in generation {group.generation_id}: join again")
    if request.protocol_type not in (None, group.protocol_type) or (
        request.protocol_name not in (None, group.protocol_name)
    ):
        raise InconsistentGroupProtocol(f"the group uses {group.protocol_name}: join again")
    if group.state is State.PREPARING:
        raise RebalanceInProgress("the group rebalances: join again")
    if group.state is State.STABLE:
        group.got_assignment(member)
        return group.sync_response(member)
    answer: Deferred[SyncGroupResponse] = Deferred()
    before = group.await_sync(member, answer)
    if request.member_id == group.roster.leader:
        group.assign({a.member_id: bytes(a.assignment) for a in request.assignments})
    if before is not None:
        before.complete(SyncGroupResponse(error_code=RebalanceInProgress.code))
    return answer
