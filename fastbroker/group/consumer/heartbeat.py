"""ConsumerGroupHeartbeat: joining, staying, reconciling, leaving.

Most heartbeats change nothing, and cost next to nothing: `unchanged` answers them. Kafka:
consumerGroupHeartbeat, consumerGroupLeave; KIP-848.
"""
from __future__ import annotations

from typing import Any

from fastbroker.errors import (
    CoordinatorLoadInProgress,
    FencedInstanceId,
    FencedMemberEpoch,
    GroupIdNotFound,
    GroupMaxSizeReached,
    InvalidRequest,
    KafkaError,
    UnknownMemberId,
    UnreleasedInstanceId,
    UnsupportedAssignor,
)
from fastbroker.group.caller import Caller
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.consumer import conversion, update
from fastbroker.group.consumer.change import Change, Home
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import NO_SUBSCRIPTION, ConsumerMember, Owned, Subscription
from fastbroker.group.consumer.state import JOIN, LEAVE, LEAVE_FOR_A_WHILE, MemberState
from fastbroker.model import Deferred
from fastbroker.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from fastbroker.protocol.record_frames import LONGEST_STRING, is_too_long

MEMBER_MAKES_ITS_ID = 1  # from this version on
NOT_SAID = -1

Answer = ConsumerGroupHeartbeatResponse | Deferred[ConsumerGroupHeartbeatResponse]


def heartbeat(
    env: Environment, home: Home, caller: Caller, request: ConsumerGroupHeartbeatRequest
) -> Answer:
    """Answer a heartbeat, when it changed something once that is written.

    Raises InvalidRequest, UnsupportedAssignor, InvalidRegularExpression, GroupIdNotFound,
    CoordinatorLoadInProgress, GroupMaxSizeReached, UnknownMemberId, FencedMemberEpoch,
    FencedInstanceId, UnreleasedInstanceId.
    """
    group = home.groups.get(request.group_id)
    if isinstance(group, ConsumerGroup):
        member = group.members.get(request.member_id)
        if member is not None and _is_unchanged(env, group, member, caller, request):
            group.touch(member)
            return ConsumerGroupHeartbeatResponse(
                member_id=member.member_id,
                member_epoch=request.member_epoch,
                heartbeat_interval_ms=env.heartbeat_ms(group, member),
            )
    check(env, caller, request)
    if group is not None and group.dead:
        raise CoordinatorLoadInProgress(f"group {request.group_id!r} is being deleted: try again")
    change = _begun(home, request)
    try:
        if request.member_epoch in (LEAVE, LEAVE_FOR_A_WHILE):
            response = _leave(env, change, request)
        else:
            response = _stay(env, change, caller, request)
    except BaseException:
        change.revert()
        raise
    return change.answer(response, _failed)


def _is_unchanged(
    env: Environment,
    group: ConsumerGroup,
    member: ConsumerMember,
    caller: Caller,
    request: ConsumerGroupHeartbeatRequest,
) -> bool:
    """Whether the heartbeat says nothing new to a member that has all it is to have."""
    current, said = member.current, member.subscription
    return (
        current is not None
        and said is not None
        and current.epoch == request.member_epoch == group.target_epoch == group.epoch
        and current.state is MemberState.STABLE
        and request.rebalance_timeout_ms == NOT_SAID
        and request.subscribed_topic_names is None
        and request.subscribed_topic_regex is None
        and request.server_assignor is None
        and request.instance_id == said.instance_id
        and request.rack_id in (None, said.rack_id)
        and caller.client_id == said.client_id
        and caller.client_host == said.client_host
        and said.classic is None
        and group.newest_write is None
        and not group.dead
        and not update.is_stale(env, group)
    )


def check(env: Environment, caller: Caller, request: ConsumerGroupHeartbeatRequest) -> None:
    """Raise InvalidRequest or UnsupportedAssignor for what no member may say."""
    epoch = request.member_epoch
    if caller.api_version >= MEMBER_MAKES_ITS_ID:
        lacks_id = not request.member_id.strip()
    else:
        lacks_id = not request.member_id and (epoch > 0 or epoch == LEAVE)
    if lacks_id:
        raise InvalidRequest("MemberId can't be empty: a member makes a UUID and keeps it")
    for name, value in (
        ("GroupId", request.group_id),
        ("InstanceId", request.instance_id),
        ("RackId", request.rack_id),
    ):
        if value is not None and not value.strip():
            raise InvalidRequest(f"{name} can't be empty: set it, or leave it out if that is meant")
    for name, value in (("MemberId", request.member_id), ("InstanceId", request.instance_id)):
        if is_too_long(value):
            raise InvalidRequest(f"{name} is longer than {LONGEST_STRING} bytes: shorten it")
    if epoch == JOIN:
        if request.rebalance_timeout_ms == NOT_SAID:
            raise InvalidRequest(
                "RebalanceTimeoutMs must be provided in first request: send max.poll.interval.ms"
            )
        if request.topic_partitions is None or request.topic_partitions:
            raise InvalidRequest(
                "TopicPartitions must be empty when (re-)joining: give up all partitions first"
            )
        if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
            raise InvalidRequest(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when"
                " (re-)joining: subscribe first"
            )
    elif epoch == LEAVE_FOR_A_WHILE:
        if request.instance_id is None:
            raise InvalidRequest(
                "InstanceId can't be null: only a static member leaves for a while (-2), others"
                " leave (-1)"
            )
    elif epoch < LEAVE_FOR_A_WHILE:
        raise InvalidRequest(
            f"MemberEpoch is invalid: {epoch} is none of 0 to join, -1 to leave, -2 to leave for"
            " a while, or an epoch that was answered"
        )
    assignor = request.server_assignor
    if assignor is not None and assignor not in env.settings.assignors:
        raise UnsupportedAssignor(
            f"ServerAssignor {assignor} is not supported. Supported assignors:"
            f" {', '.join(env.settings.assignors)}."
        )


def failed(error: KafkaError) -> ConsumerGroupHeartbeatResponse:
    """The answer to a heartbeat that is refused."""
    return _failed(error.code, error.message)


def _failed(code: int, message: str) -> ConsumerGroupHeartbeatResponse:
    return ConsumerGroupHeartbeatResponse(error_code=code, error_message=message)


def _begun(home: Home, request: ConsumerGroupHeartbeatRequest) -> Change:
    """A change of the group, which for a newcomer is made if need be."""
    group_id = request.group_id
    group = home.groups.get(group_id)
    if isinstance(group, ConsumerGroup):
        return Change(home, group)
    if request.member_epoch != JOIN:
        if group is None:
            raise GroupIdNotFound(f"Consumer group {group_id} not found: join it first.")
        raise GroupIdNotFound(f"Group {group_id} is not a consumer group: join it first.")
    return Change(home, home.make_consumer(group_id))


def _stay(
    env: Environment, change: Change, caller: Caller, request: ConsumerGroupHeartbeatRequest
) -> ConsumerGroupHeartbeatResponse:
    joins = request.member_epoch == JOIN
    if change.home.groups.get(change.group_id) is not change.group:
        _make_group(env, change)
    group = change.group
    _check_size(env, group, request)
    member_id = request.member_id or env.new_member_id()
    if request.instance_id is None:
        member = group.members.get(member_id)
        if member is None and not joins:
            raise UnknownMemberId(f"Member {member_id} is not a member of group {group.group_id}.")
    else:
        member = _static_member(change, request, member_id)
    if member is not None:
        _check_epoch(member, request)
    before = member.now.assigned if member is not None else {}
    said = _said(member, caller, request)
    name = request.instance_id or member_id
    why = f"member {name} joins" if joins else f"member {name} subscribes to other topics"
    changed = update.subscribed(env, change, member_id, said, why)
    update.assigned(env, change)
    member = group.members[member_id]
    update.stepped(
        env, change, member, owned=request.topic_partitions, subscription_changed=changed
    )
    group.touch(member)
    response = ConsumerGroupHeartbeatResponse(
        member_id=member_id,
        member_epoch=member.now.epoch,
        heartbeat_interval_ms=env.heartbeat_ms(group, member),
    )
    if joins or _is_full(request) or member.now.assigned != before:
        response.assignment = assignment(member.now.assigned)
    return response


def _make_group(env: Environment, change: Change) -> None:
    """The group is new to this protocol: made, or converted from a classic one."""
    old = change.home.groups.get(change.group_id)
    if isinstance(old, ClassicGroup) and len(old.roster):
        conversion.upgrade(env, change, old)
    else:
        change.install(change.group)
        if isinstance(old, ClassicGroup):
            conversion.forget_empty(change, old)


def _check_size(
    env: Environment, group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest
) -> None:
    limit = env.settings.max_size
    if (
        len(group.members) >= limit
        and request.member_id not in group.members
        and request.instance_id not in group.static
    ):
        raise GroupMaxSizeReached(
            f"The consumer group has reached its maximum capacity of {limit} members:"
            " raise group.consumer.max.size"
        )


def _static_member(
    change: Change, request: ConsumerGroupHeartbeatRequest, member_id: str
) -> ConsumerMember | None:
    """The member with the instance id of the request; None for one that is new."""
    group, instance_id = change.group, request.instance_id
    existing = group.static_member(instance_id)
    if request.member_epoch != JOIN:
        return known_static(group, instance_id, member_id)
    if existing is None or existing.member_id == member_id:
        return existing
    if not existing.is_classic and existing.now.epoch != LEAVE_FOR_A_WHILE:
        raise UnreleasedInstanceId(
            f"Static member {member_id} with instance id {instance_id} cannot join the group"
            f" because the instance id is owned by {existing.member_id}: stop that member, wait"
            " for its session to end, or give this one another group.instance.id"
        )
    return replace(change, existing, member_id)


def known_static(
    group: ConsumerGroup, instance_id: str | None, member_id: str
) -> ConsumerMember:
    """The member with both ids. Raises UnknownMemberId, FencedInstanceId."""
    existing = group.static_member(instance_id)
    if existing is None:
        raise UnknownMemberId(f"Instance id {instance_id} is unknown: join again.")
    if existing.member_id != member_id:
        raise FencedInstanceId(
            f"Static member {member_id} with instance id {instance_id} was fenced by member"
            f" {existing.member_id}: give every instance its own group.instance.id"
        )
    return existing


def replace(change: Change, old: ConsumerMember, member_id: str) -> ConsumerMember:
    """Give what a static member has to its successor, which joins with epoch 0."""
    said, target = old.said, old.aim
    current = old.now._replace(epoch=0, previous_epoch=0)
    old.cancel()
    change.remove(old.member_id)
    change.subscription(member_id, said)
    change.target(member_id, target)
    change.current(member_id, current)
    return change.group.members[member_id]


def _check_epoch(member: ConsumerMember, request: ConsumerGroupHeartbeatRequest) -> None:
    """Raise FencedMemberEpoch for an epoch that is not the member's.

    The one before it will do if the member owns nothing it should not: the answer was lost.
    """
    received, current = request.member_epoch, member.now
    if received in (JOIN, current.epoch):
        return
    greater = received > current.epoch
    if (
        not greater
        and received == current.previous_epoch
        and _owns_only(request.topic_partitions, current.assigned)
    ):
        return
    raise FencedMemberEpoch(
        f"The consumer group member has a {'greater' if greater else 'smaller'} member epoch"
        f" ({received}) than the one known by the group coordinator ({current.epoch}). The member"
        " must abandon all its partitions and rejoin."
    )


def _owns_only(owned: list[Any] | None, assigned: Owned) -> bool:
    return owned is not None and all(
        one.topic_id in assigned and assigned[one.topic_id].keys() >= set(one.partitions)
        for one in owned
    )


def _said(
    member: ConsumerMember | None, caller: Caller, request: ConsumerGroupHeartbeatRequest
) -> Subscription:
    """What the member said until now, with what the request says anew."""
    known = member.said if member is not None else NO_SUBSCRIPTION
    names, timeout_ms = request.subscribed_topic_names, request.rebalance_timeout_ms
    regex, rack_id = request.subscribed_topic_regex, request.rack_id
    return Subscription(
        instance_id=known.instance_id if request.instance_id is None else request.instance_id,
        rack_id=known.rack_id if rack_id is None else rack_id,
        client_id=caller.client_id or "",
        client_host=caller.client_host,
        topics=known.topics if names is None else frozenset(names),
        regex=known.regex if regex is None else regex,
        rebalance_timeout_ms=known.rebalance_timeout_ms if timeout_ms == NOT_SAID else timeout_ms,
        assignor=known.assignor if request.server_assignor is None else request.server_assignor,
    )


def _is_full(request: ConsumerGroupHeartbeatRequest) -> bool:
    """Whether it says all: after an error, a member wants to be told everything, too."""
    return (
        request.rebalance_timeout_ms != NOT_SAID
        and request.topic_partitions is not None
        and (
            request.subscribed_topic_names is not None
            or request.subscribed_topic_regex is not None
        )
    )


def assignment(owned: Owned) -> ConsumerGroupHeartbeatResponse.Assignment:
    """An assignment as heartbeats carry it."""
    return ConsumerGroupHeartbeatResponse.Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic, partitions=sorted(numbers))
            for topic, numbers in owned.items()
        ]
    )


def _leave(
    env: Environment, change: Change, request: ConsumerGroupHeartbeatRequest
) -> ConsumerGroupHeartbeatResponse:
    group, epoch = change.group, request.member_epoch
    if request.instance_id is None:
        member = group.members.get(request.member_id)
        if member is None:
            raise UnknownMemberId(
                f"Member {request.member_id} is not a member of group {group.group_id}."
            )
    else:
        member = known_static(group, request.instance_id, request.member_id)
    name = request.instance_id or member.member_id
    if epoch == LEAVE_FOR_A_WHILE:
        group.log.info("group %s: static member %s leaves for a while", group.group_id, name)
        group.released(member)
        away = member.now._replace(epoch=LEAVE_FOR_A_WHILE, revoking={})
        change.current(member.member_id, away)
    else:
        conversion.fence(env, change, [member], f"member {name} left")
    return ConsumerGroupHeartbeatResponse(member_id=member.member_id, member_epoch=epoch)
