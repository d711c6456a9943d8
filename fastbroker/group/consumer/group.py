"""A consumer group: what its records say, and what follows from that.

Every change goes through a setter that gives back what was there before; the same setter with
that undoes it. change.py records changes, replay calls the setters with what records say.

    members          static           member by id, member id by instance id
    owners           topic id -> partition -> member id: who may read it, or has to let go of it
    topics, regexes  how many members subscribe to each
    resolved         what regexes match
Kafka: ConsumerGroup, ModernGroup.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from fastbroker.errors import KafkaError
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.record import Record
from fastbroker.group.classic.session import Sessions
from fastbroker.group.classic.subscription import CONSUMER
from fastbroker.group.consumer import records
from fastbroker.group.consumer.assignor.spec import Assignment
from fastbroker.group.consumer.member import (
    NO_SUBSCRIPTION,
    ConsumerMember,
    Current,
    Owned,
    Subscription,
)
from fastbroker.group.consumer.records import Epoch, Resolved, TargetEpoch
from fastbroker.group.consumer.state import GroupState, MemberState
from fastbroker.group.group_log import GroupLog
from fastbroker.model import Deferred, Timer, Timers

# A group begins with epoch 1, so that its first subscription makes it 2, as in Apache Kafka.
NO_EPOCH, NO_TARGET_EPOCH = Epoch(1, 0), TargetEpoch(0, 0)
# Nobody does what it was told in less; and while nothing can be written, who was to go stays, and
# is given its time anew.
LEAST_REBALANCE_MS = 100


class Watch(Protocol):
    """Who is told when time is up, and says how long it lasts."""

    def overdue(self, group: ConsumerGroup, member: ConsumerMember, why: str) -> None: ...

    def session_timeout_ms(self, group_id: str) -> int: ...


class ConsumerGroup:
    """One group, alive on the coordinator of its partition.

    stale: topics that it subscribes to may have changed since it last looked.
    newest_write: the last change on its way into the log; answers wait for it.
    assigning: the timer after which a target assignment is made that had to wait.
    topics_seen: the version of the list of topics that its regexes were resolved with.
    resolve_at_ms: when to resolve them anew, whatever changed (monotonic).
    reason, raised_at_ms: why and when (wall clock) its epoch was raised last; "" and -1: before
    this coordinator took over.
    """

    is_consumer = True
    protocol_type = CONSUMER

    def __init__(
        self, group_id: str, *, timers: Timers, log: GroupLog, watch: Watch
    ) -> None:
        self.group_id, self.timers, self.log = group_id, timers, log
        self._watch = watch
        self._sessions: Sessions[ConsumerMember] = Sessions(timers, self._silent)
        self.epoch_kept: Epoch | None = None
        self.target_epoch_kept: TargetEpoch | None = None
        self.epoch, self.target_epoch = NO_EPOCH.epoch, NO_TARGET_EPOCH.epoch
        self.members: dict[str, ConsumerMember] = {}
        self.static: dict[str, str] = {}
        self.owners: dict[bytes, dict[int, str]] = {}
        self.topics: dict[str, int] = {}
        self.regexes: dict[str, int] = {}
        self.resolved: dict[str, Resolved] = {}
        self.assignors: dict[str, int] = {}
        self.classic_protocols: dict[str, int] = {}
        self.classic_members = 0
        self.has_old_topics = False  # a record of type 4, to be deleted
        self.stale = True
        self.topics_seen = -1
        self.resolve_at_ms = -1
        self.dead = False
        self.newest_write: Deferred[None] | None = None
        self.assigning: Timer | None = None
        self.reason = ""
        self.raised_at_ms = -1

    # What is kept.

    def set_epoch(self, value: Epoch | None) -> Epoch | None:
        was, self.epoch_kept = self.epoch_kept, value
        self.epoch = (value or NO_EPOCH).epoch
        return was

    def set_target_epoch(self, value: TargetEpoch | None) -> TargetEpoch | None:
        was, self.target_epoch_kept = self.target_epoch_kept, value
        self.target_epoch = (value or NO_TARGET_EPOCH).epoch
        return was

    def set_regex(self, regex: str, value: Resolved | None) -> Resolved | None:
        was = self.resolved.pop(regex, None)
        if value is not None:
            self.resolved[regex] = value
        return was

    def set_subscription(self, member_id: str, value: Subscription | None) -> Subscription | None:
        member = self._member(member_id)
        was, member.subscription = member.subscription, value
        before, after = was or NO_SUBSCRIPTION, value or NO_SUBSCRIPTION
        if before.topics != after.topics:
            _count(self.topics, before.topics, after.topics)
        if before.regex != after.regex:
            _count(self.regexes, _some(before.regex), _some(after.regex))
        if before.assignor != after.assignor:
            _count(self.assignors, _some(before.assignor), _some(after.assignor))
        if before.classic != after.classic:
            self.classic_members += (after.classic is not None) - (before.classic is not None)
            _count(self.classic_protocols, _names(before), _names(after))
        if before.instance_id != after.instance_id:
            if before.instance_id and self.static.get(before.instance_id) == member_id:
                del self.static[before.instance_id]
            if after.instance_id:
                self.static[after.instance_id] = member_id
        self._forget_nothing(member)
        return was

    def set_target(self, member_id: str, value: Assignment | None) -> Assignment | None:
        member = self._member(member_id)
        was, member.target = member.target, value
        self._forget_nothing(member)
        return was

    def set_current(self, member_id: str, value: Current | None) -> Current | None:
        member = self._member(member_id)
        was, member.current = member.current, value
        if was is not None:
            self._disown(member_id, was.assigned)
            self._disown(member_id, was.revoking)
        if value is not None:
            self._own(member_id, value.assigned)
            self._own(member_id, value.revoking)
        self._forget_nothing(member)
        return was

    def _member(self, member_id: str) -> ConsumerMember:
        member = self.members.get(member_id)
        if member is None:
            member = self.members[member_id] = ConsumerMember(member_id)
        return member

    def _forget_nothing(self, member: ConsumerMember) -> None:
        if member.is_nothing:
            member.cancel()
            del self.members[member.member_id]

    def _own(self, member_id: str, owned: Owned) -> None:
        for topic, numbers in owned.items():
            self.owners.setdefault(topic, {}).update(dict.fromkeys(numbers, member_id))

    def _disown(self, member_id: str, owned: Owned) -> None:
        for topic, numbers in owned.items():
            owners = self.owners.get(topic, {})
            for number in numbers:
                if owners.get(number) == member_id:
                    del owners[number]
            if not owners:
                self.owners.pop(topic, None)

    def tombstones(self) -> list[Record]:
        """The records that delete the group, members first."""
        out = [records.current_record(self.group_id, one, None) for one in self.members]
        out += [records.target_record(self.group_id, one, None) for one in self.members]
        out.append(records.target_epoch_record(self.group_id, None))
        out += [records.subscription_record(self.group_id, one, None) for one in self.members]
        out += [records.regex_record(self.group_id, one, None) for one in self.resolved]
        if self.has_old_topics:
            out.append(records.old_topics_tombstone(self.group_id))
        out.append(records.epoch_record(self.group_id, None))
        return out

    # What follows from it.

    @property
    def state(self) -> GroupState:
        """Costs a look at every member."""
        if self.dead:
            return GroupState.DEAD
        if not self.members:
            return GroupState.EMPTY
        if self.epoch > self.target_epoch:
            return GroupState.ASSIGNING
        if all(one.now.is_reconciled_to(self.target_epoch) for one in self.members.values()):
            return GroupState.STABLE
        return GroupState.RECONCILING

    @property
    def is_empty(self) -> bool:
        return not self.members and not self.dead

    @property
    def metadata_hash(self) -> int:
        return (self.epoch_kept or NO_EPOCH).metadata_hash

    @property
    def target_made_at_ms(self) -> int:
        return (self.target_epoch_kept or NO_TARGET_EPOCH).made_at_ms

    def is_free(self, topic: bytes, number: int) -> bool:
        """Whether nobody owns the partition."""
        owners = self.owners.get(topic)
        return owners is None or number not in owners

    def assignor(self, default: str) -> str:
        """The one that most members ask for."""
        return max(self.assignors, key=lambda name: self.assignors[name], default=default)

    def topic_names(self) -> set[str]:
        """Every topic that members subscribe to, by name or by regex; it may not exist."""
        names = set(self.topics)
        for regex in self.regexes:
            if regex in self.resolved:
                names |= self.resolved[regex].topics
        return names

    def reads_any(self, names: set[str]) -> bool:
        """Whether it subscribes to one of `names`."""
        return not names.isdisjoint(self.topics) or any(
            not one.topics.isdisjoint(names) for one in self.resolved.values()
        )

    def subscribed_topics(self) -> set[str]:
        """As of a classic group, whose offsets are kept while they are read."""
        return self.topic_names()

    def topics_of(self, subscription: Subscription) -> frozenset[str]:
        """The names that one member subscribes to."""
        resolved = self.resolved.get(subscription.regex) if subscription.regex else None
        return subscription.topics if resolved is None else subscription.topics | resolved.topics

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        member_id = self.static.get(instance_id) if instance_id is not None else None
        return None if member_id is None else self.members[member_id]

    def waits_for_others(self, member: ConsumerMember) -> bool:
        """Whether somebody still owns a partition that the member is to own."""
        own = member.now.assigned
        return any(
            number not in own.get(topic, {}) and not self.is_free(topic, number)
            for topic, numbers in member.aim.items()
            for number in numbers
        )

    def distrust(self) -> None:
        """What it found when it last looked at its topics may have been undone: it looks again."""
        self.stale, self.topics_seen = True, -1

    # Time.

    def touch(self, member: ConsumerMember) -> None:
        """The member is alive: its session lasts its timeout from now."""
        classic = member.subscription.classic if member.subscription is not None else None
        self._sessions.touch(
            member,
            self._watch.session_timeout_ms(self.group_id)
            if classic is None
            else classic.session_timeout_ms,
        )

    def await_release(self, member: ConsumerMember, *, again: bool) -> None:
        """Give the member its rebalance timeout to let go, or, a classic one, to join.

        again: count anew; otherwise what runs goes on.
        """
        if member.rebalance is not None:
            if not again:
                return
            member.rebalance.cancel()
        what = "did not join" if member.is_classic else "did not let go of partitions"
        timeout_ms = max(LEAST_REBALANCE_MS, member.said.rebalance_timeout_ms)
        member.rebalance_until_ms = self.timers.monotonic_ms() + timeout_ms
        member.rebalance = self.timers.after(
            timeout_ms, self._late, member, f"{what} within {timeout_ms} ms"
        )

    def released(self, member: ConsumerMember) -> None:
        """The member has done so."""
        if member.rebalance is not None:
            member.rebalance.cancel()
            member.rebalance = None

    def await_sync(self, member: ConsumerMember) -> None:
        """Give a classic member its rebalance timeout to fetch its assignment."""
        self.synced(member)
        timeout_ms = max(LEAST_REBALANCE_MS, member.said.rebalance_timeout_ms)
        member.sync_until_ms = self.timers.monotonic_ms() + timeout_ms
        member.sync = self.timers.after(
            timeout_ms, self._late, member, f"did not sync within {timeout_ms} ms"
        )

    def synced(self, member: ConsumerMember) -> None:
        if member.sync is not None:
            member.sync.cancel()
            member.sync = None

    def _silent(self, member: ConsumerMember) -> None:
        self._late(member, "was silent for its session")

    def _late(self, member: ConsumerMember, why: str) -> None:
        if self.members.get(member.member_id) is member and not self.dead:
            self._watch.overdue(self, member, why)

    # A coordinator takes over, and gives up.

    def begin(self) -> None:
        """This coordinator takes over: every member has a full session to be heard from."""
        self.drop_remains()
        for member in self.members.values():
            self.watch(member)

    def drop_remains(self) -> None:
        """Forget members whose main record is gone: the others were to go with it."""
        for member in list(self.members.values()):
            if member.subscription is None:
                self.set_current(member.member_id, None)
                self.set_target(member.member_id, None)

    def watch(self, member: ConsumerMember) -> None:
        """Start the timers that a member in its state has."""
        self.touch(member)
        if member.now.state is MemberState.UNREVOKED_PARTITIONS and not member.is_classic:
            self.await_release(member, again=True)

    def end(self, error: type[KafkaError] | None = None) -> None:
        """Take no more requests. Nobody waits here for anything but writes."""
        self.dead = True
        self.stop_timers()

    def stop_timers(self) -> None:
        for member in self.members.values():
            member.cancel()
        if self.assigning is not None:
            self.assigning.cancel()
            self.assigning = None

    def revive(self) -> None:
        """It was to go, and stays."""
        self.dead = False
        for member in self.members.values():
            self.watch(member)


AnyGroup = ClassicGroup | ConsumerGroup


def _count(counts: dict[str, int], gone: Iterable[str], come: Iterable[str]) -> None:
    for name in gone:
        counts[name] -= 1
        if not counts[name]:
            del counts[name]
    for name in come:
        counts[name] = counts.get(name, 0) + 1


def _some(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


def _names(subscription: Subscription) -> list[str]:
    if subscription.classic is None:
        return []
    return list(dict.fromkeys(name for name, _ in subscription.classic.protocols))
