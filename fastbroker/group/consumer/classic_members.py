"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup of those members of a consumer group that speak
the classic protocol.

A member's generation is its member epoch. It is told to join again when there is a new target
assignment, when it has to let go of partitions, and when those it waits for are free; what it
owns is in its JoinGroup. Nobody leads: SyncGroup answers what the server assigned.
Kafka: classicGroupJoinToConsumerGroup and its like; KIP-848.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from fastbroker.coordination.append_error import append_error
from fastbroker.errors import (
    CoordinatorNotAvailable,
    GroupMaxSizeReached,
    IllegalGeneration,
    InconsistentGroupProtocol,
    KafkaError,
    MemberIdRequired,
    RebalanceInProgress,
    UnknownMemberId,
)
from fastbroker.group.caller import Caller
from fastbroker.group.classic.join import MEMBER_ID_FIRST
from fastbroker.group.classic.membership import SINGLE_MEMBER, leaving_members
from fastbroker.group.classic.subscription import CONSUMER
from fastbroker.group.consumer import conversion, embedded, update
from fastbroker.group.consumer.change import Change, Home
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.heartbeat import known_static, replace
from fastbroker.group.consumer.member import ClassicSide, ConsumerMember, Subscription
from fastbroker.group.consumer.state import MemberState
from fastbroker.model import Deferred
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

Left = LeaveGroupResponse.MemberResponse


class Owned(NamedTuple):
    """Partitions of a topic, as heartbeats have them."""

    topic_id: bytes
    partitions: list[int]


def join(
    env: Environment, home: Home, group: ConsumerGroup, caller: Caller, request: JoinGroupRequest
) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
    """Answer a JoinGroup once what it changes is written.

    Raises CoordinatorNotAvailable, InconsistentGroupProtocol, GroupMaxSizeReached,
    UnknownMemberId, FencedInstanceId.
    """
    _check_alive(group)
    if not env.settings.may_upgrade and not env.settings.may_downgrade:
        raise InconsistentGroupProtocol(
            "the group uses the consumer protocol: set group.protocol=consumer, or another"
            " group.consumer.migration.policy than disabled"
        )
    protocols = tuple((one.name, bytes(one.metadata)) for one in request.protocols)
    _check_protocols(group, request.protocol_type, [name for name, _ in protocols])
    instance_id, is_new = request.group_instance_id, not request.member_id
    known = request.member_id in group.members or instance_id in group.static
    if len(group.members) >= env.settings.max_size and not known:
        raise GroupMaxSizeReached(
            f"the group has group.consumer.max.size={env.settings.max_size} members: raise it"
        )
    member_id = request.member_id or env.new_member_id()
    if is_new and instance_id is None and caller.api_version >= MEMBER_ID_FIRST:
        return JoinGroupResponse(error_code=MemberIdRequired.code, member_id=member_id)
    subscription = embedded.subscription(protocols[0][1])
    if subscription is None:
        raise InconsistentGroupProtocol("the subscription of the member cannot be read")
    if not known and not is_new and subscription.owned_partitions:
        # It was removed, and others may own these by now: it has to let go of them first.
        raise UnknownMemberId(f"{member_id!r} is not a member: join again, owning nothing")
    change = Change(home, group)
    try:
        response = _join(env, change, caller, request, member_id, protocols, subscription)
    except BaseException:
        change.revert()
        raise

    def failed(code: int, _: str) -> JoinGroupResponse:
        return JoinGroupResponse(error_code=code, member_id=request.member_id)

    return change.answer(response, failed)


def _join(
    env: Environment,
    change: Change,
    caller: Caller,
    request: JoinGroupRequest,
    member_id: str,
    protocols: tuple[tuple[str, bytes], ...],
    subscription: Any,
) -> JoinGroupResponse:
    group, instance_id = change.group, request.group_instance_id
    member = group.members.get(member_id)
    if instance_id is not None:
        if request.member_id:
            member = known_static(group, instance_id, member_id)
        else:
            member = group.static_member(instance_id)
            if member is not None:
                member = replace(change, member, member_id)
    timeout_ms = request.rebalance_timeout_ms
    said = Subscription(
        instance_id=instance_id,
        rack_id=subscription.rack_id or (member.said.rack_id if member is not None else None),
        client_id=caller.client_id or "",
        client_host=caller.client_host,
        topics=frozenset(subscription.topics),
        rebalance_timeout_ms=request.session_timeout_ms if timeout_ms < 0 else timeout_ms,
        assignor=member.said.assignor if member is not None else None,
        classic=ClassicSide(request.session_timeout_ms, protocols),
    )
    name = instance_id or member_id
    why = f"classic member {name} joins; client's reason: {request.reason or 'not given'}"
    changed = update.subscribed(env, change, member_id, said, why)
    update.assigned(env, change)
    member = group.members[member_id]
    owned = [
        Owned(topic_id, list(one.partitions))
        for one in subscription.owned_partitions
        if (topic_id := env.topics.topic_id(one.topic)) is not None
    ]
    update.stepped(env, change, member, owned=owned, subscription_changed=changed)
    response = JoinGroupResponse(
        member_id=member_id,
        generation_id=member.now.epoch,
        protocol_type=CONSUMER,
        protocol_name=protocols[0][0],
    )
    group.released(member)
    group.touch(member)
    if instance_id is not None and group.classic_members == len(group.members):
        # The last one with the new protocol was replaced by this one.
        settings = env.settings
        fits = len(group.members) <= settings.classic_max_size
        if settings.may_downgrade and fits:
            conversion.downgrade(env, change, (), f"static member {instance_id} came back")
            return response
    group.await_sync(member)
    return response


def sync(
    env: Environment, group: ConsumerGroup, request: SyncGroupRequest
) -> SyncGroupResponse | Deferred[SyncGroupResponse]:
    """Answer what the member was assigned, once that is written.

    Raises CoordinatorNotAvailable, UnknownMemberId, FencedInstanceId, IllegalGeneration,
    InconsistentGroupProtocol, RebalanceInProgress.
    """
    member, side = _classic_member(group, request.member_id, request.group_instance_id)
    _check_generation(member, request.generation_id)
    protocol, metadata = side.protocols[0]
    if request.protocol_type not in (None, CONSUMER) or (
        request.protocol_name not in (None, protocol)
    ):
        raise InconsistentGroupProtocol(f"the member was told to use {protocol}: join again")
    if (
        group.target_epoch > member.now.epoch
        and member.now.state is not MemberState.UNREVOKED_PARTITIONS
    ):
        group.await_release(member, again=False)
        raise RebalanceInProgress("there is a new assignment: join again")
    group.synced(member)
    group.touch(member)
    partitions = {
        name: list(numbers)
        for topic_id, numbers in member.now.assigned.items()
        if (name := env.topics.topic_name(topic_id)) is not None
    }
    response = SyncGroupResponse(
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignment=embedded.assignment_bytes(partitions, embedded.version(metadata)),
    )
    if group.newest_write is None:
        return response
    answer: Deferred[SyncGroupResponse] = Deferred()

    def written(write: Deferred[None]) -> None:
        if write.error is None:
            answer.complete(response)
        else:
            answer.complete(SyncGroupResponse(error_code=append_error(write.error)))

    group.newest_write.then(written)
    return answer


def heartbeat(group: ConsumerGroup, request: HeartbeatRequest) -> None:
    """Prolong a member's session.

    Raises CoordinatorNotAvailable, UnknownMemberId, FencedInstanceId, IllegalGeneration, and
    RebalanceInProgress for a member that is to join again.
    """
    member, _ = _classic_member(group, request.member_id, request.group_instance_id)
    _check_generation(member, request.generation_id)
    group.touch(member)
    state = member.now.state
    if (
        member.now.epoch < group.target_epoch
        or state is MemberState.UNREVOKED_PARTITIONS
        or (state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member))
    ):
        group.await_release(member, again=False)
        raise RebalanceInProgress("the group rebalances: join again")


def leave(
    env: Environment,
    home: Home,
    group: ConsumerGroup,
    request: LeaveGroupRequest,
    api_version: int,
) -> LeaveGroupResponse | Deferred[LeaveGroupResponse]:
    """Remove members, of either protocol, with one rebalance for all of them.

    Raises CoordinatorNotAvailable, and up to version 2 what a member's own error is from then on.
    """
    _check_alive(group)
    told: list[Left] = []
    gone: list[ConsumerMember] = []
    for one in leaving_members(request, api_version):
        member_id, error_code = one.member_id, 0
        try:
            if one.group_instance_id is not None and not member_id:
                named = group.static_member(one.group_instance_id)
                member_id = named.member_id if named is not None else ""
            member = _member(group, member_id, one.group_instance_id)
            if member not in gone:
                gone.append(member)
        except KafkaError as error:
            if api_version <= SINGLE_MEMBER:
                raise
            error_code = error.code
        told.append(
            Left(
                member_id=one.member_id or member_id,
                group_instance_id=one.group_instance_id,
                error_code=error_code,
            )
        )
    response = LeaveGroupResponse(members=told)
    if not gone:
        return response
    change = Change(home, group)
    names = ", ".join(member.said.instance_id or member.member_id for member in gone)
    conversion.fence(env, change, gone, f"left: {names}")
    return change.answer(response, lambda code, _: LeaveGroupResponse(error_code=code))


def _check_alive(group: ConsumerGroup) -> None:
    if group.dead:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")


def _check_protocols(group: ConsumerGroup, protocol_type: str, names: list[str]) -> None:
    if protocol_type != CONSUMER:
        raise InconsistentGroupProtocol(f"the group's protocol type is {CONSUMER!r}")
    if not any(group.classic_protocols.get(n, 0) == group.classic_members for n in names):
        raise InconsistentGroupProtocol(
            "no protocol is supported by every classic member of the group"
        )


def _member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """Raises CoordinatorNotAvailable, UnknownMemberId, FencedInstanceId."""
    _check_alive(group)
    if instance_id is not None:
        member: ConsumerMember | None = known_static(group, instance_id, member_id)
    else:
        member = group.members.get(member_id)
    if member is None:
        raise UnknownMemberId(f"{member_id!r} is not a member: join again")
    return member


def _classic_member(
    group: ConsumerGroup, member_id: str, instance_id: str | None
) -> tuple[ConsumerMember, ClassicSide]:
    """Raises CoordinatorNotAvailable, UnknownMemberId, FencedInstanceId."""
    member = _member(group, member_id, instance_id)
    side = member.said.classic
    if side is None:
        raise UnknownMemberId(f"{member_id!r} does not use the classic protocol")
    return member, side


def _check_generation(member: ConsumerMember, generation: int) -> None:
    if generation != member.now.epoch:
        raise IllegalGeneration(f"the member is in generation {member.now.epoch}: join again")
