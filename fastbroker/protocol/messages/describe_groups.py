"""DescribeGroups (15): describe classic groups: state, members, assignments."""

from __future__ import annotations

from fastbroker.protocol.explanation import Explanation
from fastbroker.protocol.schema import (
    PRIVATE_TAG,
    Buffer,
    Struct,
    array,
    blob,
    boolean,
    i16,
    i32,
    string,
    struct,
)


class DescribeGroupsRequest(Struct, key=15, versions="0-6", flexible="5+"):
    groups: list[str] = array(string())
    include_authorized_operations: bool = boolean("3+")
    explain: bool = boolean("5+", tagged="5+", tag=PRIVATE_TAG)


class DescribeGroupsResponse(Struct, key=15, versions="0-6", flexible="5+"):
    class DescribedGroup(Struct):
        class DescribedGroupMember(Struct):
            member_id: str = string()
            group_instance_id: str | None = string("4+", default=None, nullable="4+")
            client_id: str = string()
            client_host: str = string()
            member_metadata: Buffer = blob()
            member_assignment: Buffer = blob()

        error_code: int = i16()
        error_message: str | None = string("6+", default=None, nullable="6+")
        group_id: str = string()
        group_state: str = string()
        protocol_type: str = string()
        protocol_data: str = string()
        members: list[DescribedGroupMember] = array(DescribedGroupMember)
        authorized_operations: int = i32("3+", default=-2147483648)
        explanation: Explanation | None = struct(
            Explanation, "5+", tagged="5+", tag=PRIVATE_TAG
        )

    throttle_time_ms: int = i32("1+")
    groups: list[DescribedGroup] = array(DescribedGroup)
