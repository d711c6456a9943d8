"""What members ask for, with either protocol: to come, to stay, to go."""
from __future__ import annotations

from collections.abc import Callable

from fastbroker import errors
from fastbroker.coordination.append_error import append_error
from fastbroker.errors import KafkaError
from fastbroker.group.caller import Caller
from fastbroker.group.classic.join import join
from fastbroker.group.classic.membership import SINGLE_MEMBER, heartbeat, leave, leaving_members
from fastbroker.group.classic.sync import sync
from fastbroker.group.consumer import classic_members, conversion
from fastbroker.group.consumer import heartbeat as consumer_heartbeat
from fastbroker.group.consumer.change import Change
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.settings import GroupSettings
from fastbroker.group.shards import Shards
from fastbroker.model import Deferred
from fastbroker.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
)
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from fastbroker.protocol.record_frames import LONGEST_STRING, is_too_long

NO_PROTOCOL_IS_NULL = 7  # version of JoinGroup; before, an error names the empty protocol


class MemberRequests:
    """Part of a GroupCoordinator, which says what the arguments are."""

    def __init__(
        self,
        settings: GroupSettings,
        shards: Shards,
        consumers: Environment,
        new_member_id: Callable[[str], str],
    ) -> None:
        self.settings, self.shards, self.consumers = settings, shards, consumers
        self._new_member_id = new_member_id

    def join_group(
        self, caller: Caller, request: JoinGroupRequest
    ) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
        """JoinGroup 0-9: answered when the rebalance is complete, or with an error."""
        answer = self._join_group(caller, request)
        if caller.api_version < NO_PROTOCOL_IS_NULL:
            return answer
        if isinstance(answer, Deferred):
            answer.then(lambda done: _without_protocol(done.result()))
        else:
            _without_protocol(answer)
        return answer

    def _join_group(
        self, caller: Caller, request: JoinGroupRequest
    ) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
        try:
            if request.group_id:  # whose absence is told first
                self._check_session_timeout(request.session_timeout_ms)
            _check_lengths(request)
            shard = self.shards.of(request.group_id)
            if request.member_id and request.group_id not in shard.groups:
                raise errors.UnknownMemberId("the group does not exist: join without a member id")
            group = shard.group_or_new(request.group_id)
            if isinstance(group, ConsumerGroup):
                if not group.is_empty:
                    return classic_members.join(self.consumers, shard, group, caller, request)
                change = Change(shard, group)
                group = conversion.restart_as_classic(change)
                failure = change.write().error
                if failure is not None:
                    raise errors.of(append_error(failure))(f"nothing can be stored: {failure}")
            try:
                return join(group, caller, request, self._new_member_id)
            finally:
                shard.forget_if_vacant(group)
        except errors.GroupMaxSizeReached as error:
            return JoinGroupResponse(error_code=error.code)  # the id is forgotten
        except KafkaError as error:
            return JoinGroupResponse(error_code=error.code, member_id=request.member_id)

    def sync_group(
        self, caller: Caller, request: SyncGroupRequest
    ) -> SyncGroupResponse | Deferred[SyncGroupResponse]:
        """SyncGroup 0-5: answered when the leader's assignment is stored."""
        try:
            if caller.api_version >= 5 and None in (request.protocol_type, request.protocol_name):
                raise errors.InconsistentGroupProtocol("a member names its protocol and type")
            group = self._group_of_member(request.group_id)
            if isinstance(group, ConsumerGroup):
                return classic_members.sync(self.consumers, group, request)
            return sync(group, request)
        except KafkaError as error:
            return SyncGroupResponse(error_code=error.code)

    def heartbeat(self, caller: Caller, request: HeartbeatRequest) -> HeartbeatResponse:
        """Heartbeat 0-4; while the group is loading everyone is taken to be a member."""
        try:
            group = self._group_of_member(request.group_id)
            if isinstance(group, ConsumerGroup):
                classic_members.heartbeat(group, request)
            else:
                heartbeat(group, request)
        except errors.CoordinatorLoadInProgress:
            return HeartbeatResponse()
        except KafkaError as error:
            return HeartbeatResponse(error_code=error.code)
        return HeartbeatResponse()

    def leave_group(
        self, caller: Caller, request: LeaveGroupRequest
    ) -> LeaveGroupResponse | Deferred[LeaveGroupResponse]:
        """LeaveGroup 0-5: several members at once from version 3."""
        try:
            group, version = self._group_of_member(request.group_id), caller.api_version
            if isinstance(group, ConsumerGroup):
                shard = self.shards.of(request.group_id)
                return classic_members.leave(self.consumers, shard, group, request, version)
            return leave(group, request, version)
        except errors.UnknownMemberId as error:
            if caller.api_version <= SINGLE_MEMBER:
                return LeaveGroupResponse(error_code=error.code)
            return LeaveGroupResponse(
                members=[
                    LeaveGroupResponse.MemberResponse(
                        member_id=one.member_id,
                        group_instance_id=one.group_instance_id,
                        error_code=error.code,
                    )
                    for one in leaving_members(request, caller.api_version)
                ]
            )
        except KafkaError as error:
            return LeaveGroupResponse(error_code=error.code)

    def _check_session_timeout(self, timeout_ms: int) -> None:
        least, most = self.settings.min_session_timeout_ms, self.settings.max_session_timeout_ms
        if not least <= timeout_ms <= most:
            raise errors.InvalidSessionTimeout(
                f"session.timeout.ms={timeout_ms} is not within {least} to {most}"
            )

    def _group_of_member(self, group_id: str) -> AnyGroup:
        group = self.shards.of(group_id).groups.get(group_id)
        if group is None:
            raise errors.UnknownMemberId(f"group {group_id!r} does not exist: join again")
        return group

    def consumer_group_heartbeat(
        self, caller: Caller, request: ConsumerGroupHeartbeatRequest
    ) -> consumer_heartbeat.Answer:
        """ConsumerGroupHeartbeat 0-1: answered once what it changes is written."""
        try:
            shard = self.shards.of(request.group_id, may_be_empty=True)
            return consumer_heartbeat.heartbeat(self.consumers, shard, caller, request)
        except KafkaError as error:
            return consumer_heartbeat.failed(error)


def _check_lengths(request: JoinGroupRequest) -> None:
    """Raise InvalidRequest or InconsistentGroupProtocol for names that no record has room for."""
    for name, text in (
        ("member id", request.member_id), ("group.instance.id", request.group_instance_id)
    ):  # fmt: skip
        if is_too_long(text):
            raise errors.InvalidRequest(f"the {name} is longer than {LONGEST_STRING} bytes")
    if any(map(is_too_long, [request.protocol_type, *(one.name for one in request.protocols)])):
        raise errors.InconsistentGroupProtocol(
            f"a protocol's name or type is longer than {LONGEST_STRING} bytes"
        )


def _without_protocol(answer: JoinGroupResponse) -> None:
    if answer.error_code:
        answer.protocol_name = None
