"""What heartbeats and joins have in common: from a changed subscription to a changed assignment.

    subscribed       regexes, the group's epoch
    assigned         a target assignment for the newest epoch, now or in a moment
    stepped          one step of a member towards its target
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastbroker.group.consumer import regex
from fastbroker.group.consumer.assignor import range as range_assignor
from fastbroker.group.consumer.assignor import uniform
from fastbroker.group.consumer.assignor.spec import AssignedMember, Assignor, GroupSpec
from fastbroker.group.consumer.change import Change, Home
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import NO_SUBSCRIPTION, ConsumerMember, Subscription
from fastbroker.group.consumer.reconcile import reconciled
from fastbroker.group.consumer.records import Epoch, Resolved, TargetEpoch
from fastbroker.group.consumer.state import MemberState

ASSIGNORS: dict[str, Assignor] = {"uniform": uniform.assign, "range": range_assignor.assign}


def subscribed(
    env: Environment, change: Change, member_id: str, after: Subscription, why: str
) -> bool:
    """Set what a member said, and raise the group's epoch if that, or a topic, changed.

    Returns whether its subscription changed. Raises InvalidRegularExpression.
    """
    group = change.group
    member = group.members.get(member_id)
    before = member.subscription if member is not None else None
    if after != before:
        if after.regex and after.regex not in group.regexes:
            regex.check(after.regex)
        change.subscription(member_id, after)
    was = before or NO_SUBSCRIPTION
    changed = was.topics != after.topics or was.regex != after.regex
    if changed or is_stale(env, group):
        look_again(env, change, why if changed else None)
    return changed


def is_stale(env: Environment, group: ConsumerGroup) -> bool:
    """Whether the group's topics may be others than when it last looked."""
    return group.stale or (
        bool(group.regexes)
        and (
            group.topics_seen != env.topics_version
            or env.timers.monotonic_ms() > group.resolve_at_ms
        )
    )


def look_again(env: Environment, change: Change, why: str | None) -> None:
    """Resolve regexes anew, and raise the group's epoch if topics changed, or for `why`."""
    group = change.group
    group.stale = False
    resolved = _resolve(env, change)
    metadata_hash = env.metadata_hash(group.topic_names())
    if why is None and (metadata_hash != group.metadata_hash or resolved):
        why = "topics that it reads came, went or have more partitions"
    if why is not None:
        raise_epoch(change, metadata_hash, why)


def raise_epoch(change: Change, metadata_hash: int, why: str) -> None:
    """The next epoch of the group: it is due for a new target assignment."""
    group = change.group
    change.epoch(Epoch(group.epoch + 1, metadata_hash))
    group.reason, group.raised_at_ms = why, group.timers.now_ms()
    if group.has_old_topics:
        change.forget_old_topics()
    group.log.info(
        "group %s: rebalance, epoch %d with %d members: %s",
        group.group_id, group.epoch, len(group.members), why,
    )  # fmt: skip


def _resolve(env: Environment, change: Change) -> bool:
    """Bring what regexes match up to date; whether anything changed."""
    group = change.group
    changed = False
    for gone in [one for one in group.resolved if one not in group.regexes]:
        change.regex(gone, None)
        changed = True
    if not group.regexes:
        return changed
    now_ms = env.timers.monotonic_ms()
    refresh = now_ms > group.resolve_at_ms
    names = None if refresh else env.changed_since(group.topics_seen)
    for one in group.regexes:
        was = group.resolved.get(one)
        if was is None or names is None:
            topics = regex.matching(one, env.topics.names())
        else:
            there = [name for name in names if env.topics.topic_id(name) is not None]
            topics = (was.topics - names) | regex.matching(one, there)
        if was is None or was.topics != topics:
            change.regex(one, Resolved(topics, env.topics_version, env.timers.now_ms()))
            changed = True
    group.topics_seen = env.topics_version
    if refresh:
        group.resolve_at_ms = now_ms + env.settings.regex_refresh_ms
    return changed


def assigned(env: Environment, change: Change) -> None:
    """Make a target assignment for the group's epoch, unless the last one was made just now."""
    group = change.group
    if group.epoch <= group.target_epoch:
        return
    wait_ms = 0
    if group.target_made_at_ms:
        since_ms = env.timers.now_ms() - group.target_made_at_ms
        if since_ms >= 0:  # a clock that was set back counts as time enough
            wait_ms = max(0, env.assignment_ms(group) - since_ms)
    if wait_ms:
        assign_later(env, change.home, group, wait_ms)
    else:
        _assign(env, change)


def assign_later(env: Environment, home: Home, group: ConsumerGroup, wait_ms: int = 0) -> None:
    """Make the target assignment in a moment, whether or not a member asks."""

    def due() -> None:
        group.assigning = None
        if home.ended or group.dead or not group.members:
            return
        change = Change(home, group)
        assigned(env, change)
        if change:
            change.write()

    if group.assigning is None:
        group.assigning = env.timers.after(wait_ms, due)


def _assign(env: Environment, change: Change) -> None:
    group = change.group
    if group.assigning is not None:
        group.assigning.cancel()
        group.assigning = None
    name = group.assignor(env.settings.assignors[0])
    assignor = ASSIGNORS.get(name) or ASSIGNORS[env.settings.assignors[0]]
    for member_id, target in assignor(group_spec(env, group)).items():
        was = group.members[member_id].target
        if target is not was and target != was:
            change.target(member_id, target)
    change.target_epoch(TargetEpoch(group.epoch, env.timers.now_ms()))


def group_spec(env: Environment, group: ConsumerGroup) -> GroupSpec:
    """The group as assignors see it."""
    ids: dict[tuple[frozenset[str], str], frozenset[bytes]] = {}
    partitions: dict[bytes, int] = {}
    members: dict[str, AssignedMember] = {}
    for member_id, member in group.members.items():
        said = member.said
        key = (said.topics, said.regex)
        topics = ids.get(key)
        if topics is None:
            topics = ids[key] = _ids(env, group.topics_of(said), partitions)
        members[member_id] = AssignedMember(topics, member.aim, said.instance_id)
    return GroupSpec(members, partitions)


def _ids(
    env: Environment, names: Iterable[str], partitions: dict[bytes, int]
) -> frozenset[bytes]:
    found = set()
    for name in sorted(names):
        topic_id = env.topics.topic_id(name)
        if topic_id is not None:
            partitions[topic_id] = env.topics.partition_count(name)
            found.add(topic_id)
    return frozenset(found)


def stepped(
    env: Environment,
    change: Change,
    member: ConsumerMember,
    *,
    owned: Iterable[Any] | None,
    subscription_changed: bool,
) -> None:
    """One step of the member towards its target. Raises FencedMemberEpoch."""
    group = change.group
    before = member.now
    if before.is_reconciled_to(group.target_epoch) and not subscription_changed:
        return
    after = reconciled(
        before,
        target_epoch=group.target_epoch,
        target=member.aim,
        subscribed=_ids(env, group.topics_of(member.said), {}),
        subscription_changed=subscription_changed,
        owned=owned,
        is_free=group.is_free,
    )
    if after is before and member.current is not None:
        return
    change.current(member.member_id, after)
    if member.is_classic:
        return
    if after.state is MemberState.UNREVOKED_PARTITIONS:
        group.await_release(member, again=True)
    else:
        group.released(member)


def removed(env: Environment, change: Change, member_ids: Iterable[str], why: str) -> None:
    """Take members off the group, and raise its epoch."""
    group = change.group
    for member_id in member_ids:
        group.members[member_id].cancel()
        change.remove(member_id)
    for gone in [one for one in group.resolved if one not in group.regexes]:
        change.regex(gone, None)
    raise_epoch(change, env.metadata_hash(group.topic_names()), why)
    if group.members:
        assign_later(env, change.home, group)

