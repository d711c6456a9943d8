"""ListGroups and DescribeGroups: what administrators see of groups."""
from __future__ import annotations

from itertools import islice

from fastbroker.errors import GroupIdNotFound
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.pending_offsets import PendingOffsets
from fastbroker.protocol.explanation import LONGEST, UnstableOffset
from fastbroker.protocol.messages.describe_groups import DescribeGroupsResponse
from fastbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse

CLASSIC_TYPE, CONSUMER_TYPE = "classic", "consumer"
NOT_FOUND_IS_AN_ERROR = 6  # before this version a missing group is described as Dead

Described = DescribeGroupsResponse.DescribedGroup


def listed(
    group: AnyGroup, request: ListGroupsRequest
) -> list[ListGroupsResponse.ListedGroup]:
    """The group as one of a list; nothing if the filters leave it out. They ignore case."""
    states = {state.lower() for state in request.states_filter}
    types = {name.lower() for name in request.types_filter}
    group_type = CONSUMER_TYPE if isinstance(group, ConsumerGroup) else CLASSIC_TYPE
    if types and group_type not in types:
        return []
    state = str(group.state)
    if states and state.lower() not in states:
        return []
    return [
        ListGroupsResponse.ListedGroup(
            group_id=group.group_id,
            protocol_type=group.protocol_type or "",
            group_state=state,
            group_type=group_type,
        )
    ]


def described(group: ClassicGroup) -> Described:
    """The group and its members; their metadata only while it is stable.

    In a rebalance a member has its last assignment until the next one is there.
    """
    stable = group.state is State.STABLE
    chosen = group.protocol_name or "" if stable else ""
    return Described(
        group_id=group.group_id,
        group_state=str(group.state),
        protocol_type=group.protocol_type or "",
        protocol_data=chosen,
        members=[
            Described.DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.protocols.get(chosen, b"") if stable else b"",
                member_assignment=member.assignment,
            )
            for member in group.roster
        ],
    )


def unstable_offsets(pending: PendingOffsets, group_id: str) -> list[UnstableOffset]:
    """The offsets of a group that wait for the end of a transaction."""
    return [
        UnstableOffset(topic=at.topic, partition=at.partition, producer_id=producer_id)
        for at, producer_id in islice(pending.producers(group_id), LONGEST)
    ]


def not_found(group_id: str, api_version: int, *, is_other: bool = False) -> Described:
    """The answer for a group that does not exist, or is of another protocol."""
    if api_version < NOT_FOUND_IS_AN_ERROR:
        return Described(group_id=group_id, group_state=str(State.DEAD))
    return Described(
        group_id=group_id,
        error_code=GroupIdNotFound.code,
        error_message=(
            f"group {group_id!r} uses the consumer protocol: describe it with ConsumerGroupDescribe"
            if is_other
            else f"group {group_id!r} does not exist: nobody is a member and no offsets are"
            " committed; check its name, or list the groups"
        ),
        group_state=str(State.DEAD),
    )
