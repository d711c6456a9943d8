"""From what a member owns to what it is to own, one step at a time.

    1. What it has and should not have, it is told to let go of: UNREVOKED_PARTITIONS.
    2. Once its heartbeat shows that it did, its epoch becomes the target's, and it gets what is
       free: STABLE, or UNRELEASED_PARTITIONS while others still own a part of it.
    3. It gets the rest as that becomes free.

So a partition has one owner at any time. Kafka: CurrentAssignmentBuilder; KIP-848.
"""
from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

from fastbroker.errors import FencedMemberEpoch
from fastbroker.group.consumer.assignor.spec import Assignment
from fastbroker.group.consumer.member import Current, Owned
from fastbroker.group.consumer.state import MemberState

_NO_PARTITIONS: dict[int, int] = {}
_OF_STATE = (MemberState.STABLE, MemberState.UNRELEASED_PARTITIONS)


def reconciled(
    current: Current,
    *,
    target_epoch: int,
    target: Assignment,
    subscribed: Container[bytes],
    subscription_changed: bool,
    owned: Iterable[Any] | None,
    is_free: Callable[[bytes, int], bool],
) -> Current:
    """Where the member is after one step; `current` itself when there is none to take.

    subscribed: ids of existing topics it subscribes to: it owns no others, whatever the target.
    owned: as in the request, None: not said. is_free(topic id, partition): nobody owns it.
    Raises FencedMemberEpoch for a member in a state that this version does not know.
    """
    state = current.state
    if state is MemberState.STABLE and current.epoch == target_epoch:
        return _within_subscription(current, subscribed, owned) if subscription_changed else current
    if state is MemberState.UNREVOKED_PARTITIONS and _owns_any(owned, current.revoking):
        return _within_subscription(current, subscribed, owned) if subscription_changed else current
    if state is MemberState.UNKNOWN and (owned is None or any(one.partitions for one in owned)):
        raise FencedMemberEpoch(
            "the member is in a state that this broker does not know: it must give up all its"
            " partitions and join again"
        )
    stepped = _next(current, target_epoch, target, subscribed, owned, is_free)
    if stepped._replace(previous_epoch=current.previous_epoch) == current:
        return current
    return stepped


def _owns_any(owned: Iterable[Any] | None, partitions: Owned) -> bool:
    """Whether the member may own one of `partitions`; not having said, it may."""
    if owned is None:
        return True
    for one in owned:
        found = partitions.get(one.topic_id)
        if found and not found.keys().isdisjoint(one.partitions):
            return True
    return False


def _within_subscription(
    current: Current, subscribed: Container[bytes], owned: Iterable[Any] | None
) -> Current:
    """The member lets go at once of topics that it does not subscribe to any more."""
    gone = {topic: own for topic, own in current.assigned.items() if topic not in subscribed}
    if not gone:
        return current
    assigned = {topic: own for topic, own in current.assigned.items() if topic not in gone}
    revoking = dict(current.revoking)
    for topic, own in gone.items():
        revoking[topic] = {**revoking.get(topic, {}), **own}
    if _owns_any(owned, revoking):
        return current._replace(
            previous_epoch=current.epoch,
            state=MemberState.UNREVOKED_PARTITIONS,
            assigned=assigned,
            revoking=revoking,
        )
    return current._replace(previous_epoch=current.epoch, assigned=assigned)


def _next(
    current: Current,
    target_epoch: int,
    target: Assignment,
    subscribed: Container[bytes],
    owned: Iterable[Any] | None,
    is_free: Callable[[bytes, int], bool],
) -> Current:
    assigned: dict[bytes, dict[int, int]] = {}
    revoking: dict[bytes, dict[int, int]] = {}
    pending: dict[bytes, list[int]] = {}
    unreleased = False
    for topic in dict.fromkeys([*target, *current.assigned]):
        wanted = target.get(topic, ()) if topic in subscribed else ()
        own = current.assigned.get(topic, _NO_PARTITIONS)
        kept = {number: own[number] for number in wanted if number in own}
        if kept:
            assigned[topic] = kept
        if len(kept) < len(own):
            revoking[topic] = {n: epoch for n, epoch in own.items() if n not in kept}
        if len(kept) < len(wanted):
            letting_go = current.revoking.get(topic, _NO_PARTITIONS)
            for number in wanted:
                if number in kept:
                    continue
                # One that the member itself is letting go of is no other's.
                if is_free(topic, number) or number in letting_go:
                    pending.setdefault(topic, []).append(number)
                else:
                    unreleased = True
    if revoking and _owns_any(owned, revoking):
        return Current(
            current.epoch, current.epoch, MemberState.UNREVOKED_PARTITIONS, assigned, revoking
        )
    for topic, numbers in pending.items():
        got = dict.fromkeys(numbers, target_epoch)
        assigned[topic] = {**assigned.get(topic, {}), **got}
    return Current(target_epoch, current.epoch, _OF_STATE[unreleased], assigned, {})
