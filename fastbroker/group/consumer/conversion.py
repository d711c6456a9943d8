"""Groups that change their protocol while they live, and members that are taken off them.

    upgrade    the first member with the new protocol joins a classic group of consumers: a
               consumer group, whose other members go on with JoinGroup, SyncGroup and Heartbeat
    downgrade  the last member with the new protocol goes: a classic group of the others
Which of them may happen: group.consumer.migration.policy. Kafka: convertToConsumerGroup,
convertToClassicGroup; KIP-848.
"""
from __future__ import annotations

from collections.abc import Iterable

from fastbroker.errors import GroupIdNotFound, RebalanceInProgress
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.member import Member
from fastbroker.group.classic.record import group_record, group_tombstone
from fastbroker.group.classic.state import State
from fastbroker.group.consumer import embedded, update
from fastbroker.group.consumer.change import Change
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import NO_EPOCH
from fastbroker.group.consumer.member import ClassicSide, ConsumerMember, Current, Subscription
from fastbroker.group.consumer.records import Epoch, TargetEpoch
from fastbroker.group.consumer.state import MemberState
from fastbroker.protocol.consumer_protocol import ConsumerProtocolSubscription

Partitions = dict[str, list[int]]  # by topic name


def forget_empty(change: Change, old: ClassicGroup) -> None:
    """A consumer group took the place of a classic group without members."""
    change.step(group_tombstone(change.group_id))
    change.after_write(lambda: old.end(RebalanceInProgress))


def upgrade(env: Environment, change: Change, old: ClassicGroup) -> None:
    """Make a consumer group of the members of `old`. Raises GroupIdNotFound: that may not be."""
    group_id = change.group_id
    why = None
    if not env.settings.may_upgrade:
        why = "online upgrade is disabled: see group.consumer.migration.policy"
    elif not old.is_consumer:
        why = "the group does not use the consumer embedded protocol"
    elif len(old.roster) > env.settings.max_size:
        why = "it has more than group.consumer.max.size members"
    if why is None:
        members = _members_of(env, old)
        if members is None:
            why = "the embedded consumer protocol of a member is malformed"
    if why is not None:
        raise GroupIdNotFound(f"Cannot upgrade classic group {group_id} to consumer group: {why}.")
    assert members is not None
    change.install(change.group)
    change.step(group_tombstone(group_id))
    for member_id, (said, _) in members.items():
        change.subscription(member_id, said)
    epoch = max(NO_EPOCH.epoch, old.generation_id)
    change.epoch(Epoch(epoch, 0))
    for member_id, (_, current) in members.items():
        change.target(member_id, {t: tuple(sorted(n)) for t, n in current.assigned.items()})
    change.target_epoch(TargetEpoch(epoch, 0))
    for member_id, (_, current) in members.items():
        change.current(member_id, current)
    group = change.group
    for member in group.members.values():
        group.watch(member)
    change.after_write(lambda: old.end(RebalanceInProgress))
    group.log.info(
        "group %s: from the classic to the consumer protocol, generation %d with %d members",
        group_id, old.generation_id, len(members),
    )  # fmt: skip


def _members_of(
    env: Environment, old: ClassicGroup
) -> dict[str, tuple[Subscription, Current]] | None:
    """What the members said and own; None if one cannot be understood."""
    generation = old.generation_id
    protocol = old.protocol_name or old.roster.select_protocol()
    said: dict[str, ConsumerProtocolSubscription] = {}
    surely: list[tuple[str, Partitions]] = []
    maybe: list[tuple[str, Partitions]] = []
    for member in old.roster:
        subscription = embedded.subscription(member.protocols.get(protocol, b""))
        assigned = embedded.assignment(member.assignment)
        if subscription is None or assigned is None:
            return None
        said[member.member_id] = subscription
        claimed = embedded.by_topic(subscription.owned_partitions)
        if _has_joined(old, member):
            surely.append((member.member_id, claimed))
        else:
            surely.append((member.member_id, assigned))
            maybe.append((member.member_id, claimed))  # who has synced is forgotten in a reload
    owned = _owned(env, [*surely, *maybe], generation)
    return {
        member.member_id: (
            Subscription(
                instance_id=member.group_instance_id,
                rack_id=said[member.member_id].rack_id or None,
                client_id=member.client_id,
                client_host=member.client_host,
                topics=frozenset(said[member.member_id].topics),
                rebalance_timeout_ms=member.rebalance_timeout_ms,
                classic=ClassicSide(member.session_timeout_ms, tuple(member.protocols.items())),
            ),
            Current(generation, generation, MemberState.STABLE, owned[member.member_id]),
        )
        for member in old.roster
    }


def _has_joined(group: ClassicGroup, member: Member) -> bool:
    """Whether the member reads what it said in its newest JoinGroup, as one does that rebalances
    cooperatively: it has not been told its part since."""
    if group.state is State.STABLE:
        return group.is_missing(member)
    return group.state is State.COMPLETING or member.awaiting_join is not None


def _owned(
    env: Environment, claims: Iterable[tuple[str, Partitions]], generation: int
) -> dict[str, dict[bytes, dict[int, int]]]:
    """What each member may read, by topic id; the first one to claim a partition has it."""
    taken: set[tuple[bytes, int]] = set()
    out: dict[str, dict[bytes, dict[int, int]]] = {}
    for member_id, partitions in claims:
        mine = out.setdefault(member_id, {})
        for name, numbers in partitions.items():
            topic_id = env.topics.topic_id(name)
            for number in numbers if topic_id is not None else ():
                assert topic_id is not None
                if (topic_id, number) not in taken:
                    taken.add((topic_id, number))
                    mine.setdefault(topic_id, {})[number] = generation
    return out


def fence(env: Environment, change: Change, gone: list[ConsumerMember], why: str) -> None:
    """Take members off the group, which may then be a classic group again."""
    group = change.group
    ids = [member.member_id for member in gone]
    left = len(group.members) - len(gone)
    only_classic = left > 0 and group.classic_members - sum(m.is_classic for m in gone) == left
    if (
        only_classic
        and env.settings.may_downgrade
        and left <= env.settings.classic_max_size
        and downgrade(env, change, ids, why)
    ):
        return
    update.removed(env, change, ids, why)


def downgrade(env: Environment, change: Change, gone: Iterable[str], why: str) -> bool:
    """Make a classic group of those of the group that are not `gone`; False: it cannot be.

    Its members are asked to join again.
    """
    home, group = change.home, change.group
    classic = home.make_classic(group.group_id)
    assignments: dict[str, bytes] = {}
    for member in group.members.values():
        side = member.said.classic
        if member.member_id in gone:
            continue
        assert side is not None
        classic.roster.add(_classic_member(member, side))
    classic.protocol_type = group.protocol_type
    classic.generation_id = group.epoch
    if not classic.roster.supports(dict.fromkeys(group.classic_protocols)):
        return False
    classic.protocol_name = classic.roster.select_protocol()
    for one in classic.roster:
        now = group.members[one.member_id].now
        # What it may still read, not what it was to read: the group may be converted back.
        one.assignment = embedded.assignment_bytes(
            {name: [*now.assigned.get(topic, ()), *now.revoking.get(topic, ())]
             for topic in {**now.assigned, **now.revoking}
             if (name := env.topics.topic_name(topic)) is not None},
            embedded.version(one.protocols[classic.protocol_name]),
        )  # fmt: skip
        assignments[one.member_id] = one.assignment
    classic.learn_topics()
    classic.state = State.STABLE
    tombstones = group.tombstones()
    change.install(classic)
    for record in tombstones:
        change.step(record)
    change.step(group_record(classic, assignments, is_led=False), group.revive)
    group.end()
    change.after_write(classic.begin)
    change.after_write(lambda: classic.prepare_rebalance(f"back to the classic protocol: {why}"))
    group.log.info(
        "group %s: from the consumer to the classic protocol, epoch %d with %d members",
        group.group_id, group.epoch, len(classic.roster),
    )  # fmt: skip
    return True


def _classic_member(member: ConsumerMember, side: ClassicSide) -> Member:
    said = member.said
    return Member(
        member_id=member.member_id,
        group_instance_id=said.instance_id,
        client_id=said.client_id,
        client_host=said.client_host,
        rebalance_timeout_ms=said.rebalance_timeout_ms,
        session_timeout_ms=side.session_timeout_ms,
        protocols=dict(side.protocols),
    )


def restart_as_classic(change: Change) -> ClassicGroup:
    """Put an empty classic group in the place of a consumer group without members."""
    group = change.group
    classic = change.home.make_classic(group.group_id)
    change.install(classic)
    for record in group.tombstones():
        change.step(record)
    return classic
