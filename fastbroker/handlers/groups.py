"""Classic consumer groups and committed offsets; fastbroker.group decides, see its guide.

A group that another broker serves is NOT_COORDINATOR, one that is still being loaded
COORDINATOR_LOAD_IN_PROGRESS, an empty group id INVALID_GROUP_ID where membership is asked for.

Of these responses only DescribeGroups has room for a message, from version 6 on: it names cause and
remedy. The other ones have codes alone.
"""
from __future__ import annotations

from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from fastbroker.protocol.messages.describe_groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from fastbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from fastbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from fastbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)

# READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: all that can be done to a group.
GROUP_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11


@handles(JoinGroupRequest)
def join_group(
    ctx: RequestContext, request: JoinGroupRequest
) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
    """Behaviour
    - Answered when everyone has joined or the rebalance timeout is over; the leader gets the list.
    - First joins of an empty group are gathered for a moment.
    - A static member that comes back to a stable group is answered at once, under a new id.

    Versions: 1 rebalance timeout; 4 a newcomer is told its id first (KIP-394); 5 static members
    (KIP-345); 7 protocol type in the answer; 8 reason; 9 skipping the assignment (KIP-814).
    """
    return ctx.broker.groups.members.join_group(ctx, request)


@handles(SyncGroupRequest)
def sync_group(
    ctx: RequestContext, request: SyncGroupRequest
) -> SyncGroupResponse | Deferred[SyncGroupResponse]:
    """Behaviour
    - Answered when the leader's assignment is stored; at once in a stable group.

    Versions: 3 static members; 5 the protocol's type and name have to be the group's.
    """
    return ctx.broker.groups.members.sync_group(ctx, request)


@handles(HeartbeatRequest)
def heartbeat(ctx: RequestContext, request: HeartbeatRequest) -> HeartbeatResponse:
    """Behaviour
    - Prolongs the session; REBALANCE_IN_PROGRESS tells a member to join again.
    - While the group is loading it is answered without an error.

    Versions: 3 static members.
    """
    return ctx.broker.groups.members.heartbeat(ctx, request)


@handles(LeaveGroupRequest)
def leave_group(
    ctx: RequestContext, request: LeaveGroupRequest
) -> LeaveGroupResponse | Deferred[LeaveGroupResponse]:
    """Behaviour
    - Members go at once; several of them are one rebalance.

    Versions: 3 several members, each with its error, static ones by instance id; 5 reason.
    """
    return ctx.broker.groups.members.leave_group(ctx, request)


@handles(OffsetCommitRequest)
def offset_commit(
    ctx: RequestContext, request: OffsetCommitRequest
) -> OffsetCommitResponse | Deferred[OffsetCommitResponse]:
    """Behaviour
    - Answered when the offsets are on disk on every in-sync replica.
    - Partitions fail one by one when they do not exist and for metadata that is too long, all of
      them when the sender may not commit.

    Versions: 2-4 retention of its own; 6 leader epoch; 7 static members; 9 GROUP_ID_NOT_FOUND;
    10 topics by id.
    """
    return ctx.broker.groups.offsets.commit(ctx, request)


@handles(OffsetFetchRequest)
def offset_fetch(
    ctx: RequestContext, request: OffsetFetchRequest
) -> OffsetFetchResponse | Deferred[OffsetFetchResponse]:
    """Behaviour
    - Offset -1 and no error where nothing is committed.
    - With require_stable it waits for the commits that are being written.

    Versions: 2 all topics (null); 5 leader epoch; 7 require_stable; 8 several groups; 9 member id,
    which says nothing for a classic group; 10 topics by id.
    """
    return ctx.broker.groups.offsets.fetch(ctx, request)


@handles(TxnOffsetCommitRequest)
def txn_offset_commit(
    ctx: RequestContext, request: TxnOffsetCommitRequest
) -> TxnOffsetCommitResponse | Deferred[TxnOffsetCommitResponse]:
    """Behaviour
    - Offsets wait for the end of their transaction: its commit makes them count, an abort drops
      them. Until then OffsetFetch with require_stable tells UNSTABLE_OFFSET_COMMIT.
    - The transaction's coordinator is asked whether it is open, unless that is known here.
    - Answered when the offsets are on disk on every in-sync replica. Errors are by partition; the
      response has no place for messages.

    Versions: 2 leader epoch; 3 member, generation and instance id are checked (KIP-447);
    4 TRANSACTION_ABORTABLE; 5 the commit itself makes the group part of the transaction (KIP-890).
    """
    return ctx.broker.groups.offsets.commit_in_transaction(ctx, request)


@handles(OffsetDeleteRequest)
def offset_delete(
    ctx: RequestContext, request: OffsetDeleteRequest
) -> OffsetDeleteResponse | Deferred[OffsetDeleteResponse]:
    """Behaviour
    - Offsets of an empty group; of a consumer group, those of topics that no member reads.
    """
    return ctx.broker.groups.offsets.delete(ctx, request)


@handles(ListGroupsRequest)
def list_groups(ctx: RequestContext, request: ListGroupsRequest) -> ListGroupsResponse:
    """Behaviour
    - The groups that this broker serves: a client asks every broker.

    Versions: 4 filter by state; 5 by type.
    """
    return ctx.broker.groups.administration.list(ctx, request)


@handles(DescribeGroupsRequest)
def describe_groups(ctx: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    """Behaviour
    - Metadata of members only while the group is stable; their last assignment always.

    - Whoever asks for it in a tagged field of our own gets an explanation of each group: what it
      waits for and what ends next, see protocol/explanation.py.

    Versions: 3 authorized operations: all of them; 4 static members; 6 a missing group is an error
    instead of a dead group.
    """
    response = ctx.broker.groups.administration.describe(ctx, request)
    if request.include_authorized_operations:
        for group in response.groups:
            if not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
    return response


@handles(DeleteGroupsRequest)
def delete_groups(
    ctx: RequestContext, request: DeleteGroupsRequest
) -> Deferred[DeleteGroupsResponse]:
    """Behaviour
    - Groups without members, with all their offsets; each has its own error.
    """
    return ctx.broker.groups.administration.delete(ctx, request)
