"""A member of a consumer group: what it asked for, what it has, and what it is to have."""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fastbroker.group.consumer.assignor.spec import NOTHING, Assignment
from fastbroker.group.consumer.state import MemberState
from fastbroker.model import Timer

# Partitions by topic id, each with the epoch in which it was assigned. Never changed in place.
Owned = Mapping[bytes, Mapping[int, int]]


class ClassicSide(NamedTuple):
    """What a member that speaks the classic protocol said in its JoinGroup.

    protocols: (name, metadata) in its order of preference.
    """

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


class Subscription(NamedTuple):
    """What a member said about itself; `regex` is "" for none. Kept in a record of type 5."""

    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str = ""
    rebalance_timeout_ms: int = -1
    assignor: str | None = None
    classic: ClassicSide | None = None


class Current(NamedTuple):
    """Where a member is. Kept in a record of type 8.

    assigned: what it may read. revoking: what it has to let go of, and may still read.
    """

    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Owned = {}
    revoking: Owned = {}

    def is_reconciled_to(self, target_epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.epoch == target_epoch


NEW = Current()
NO_SUBSCRIPTION = Subscription()


class ConsumerMember:
    """One member. A part is None as long as there is no record of it.

    deadline_ms, alarm_ms, session: see classic/session.py. rebalance: until when it has to have
    let go of partitions, or a classic one to have joined again; sync: until when to have synced.
    release_by_ms, sync_by_ms: when those two are over (monotonic).
    """

    __slots__ = (
        "alarm_ms",
        "current",
        "deadline_ms",
        "is_new",
        "member_id",
        "rebalance",
        "release_by_ms",
        "session",
        "subscription",
        "sync",
        "sync_by_ms",
        "target",
    )

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        self.subscription: Subscription | None = None
        self.current: Current | None = None
        self.target: Assignment | None = None
        self.session: Timer | None = None
        self.rebalance: Timer | None = None
        self.sync: Timer | None = None
        self.deadline_ms = self.alarm_ms = self.release_by_ms = self.sync_by_ms = 0
        self.is_new = False

    @property
    def waits(self) -> bool:
        """Requests of these members are not kept waiting for others."""
        return False

    @property
    def said(self) -> Subscription:
        return self.subscription or NO_SUBSCRIPTION

    @property
    def now(self) -> Current:
        return self.current or NEW

    @property
    def aim(self) -> Assignment:
        return NOTHING if self.target is None else self.target

    @property
    def is_classic(self) -> bool:
        return self.subscription is not None and self.subscription.classic is not None

    @property
    def is_nothing(self) -> bool:
        """Whether no record says anything of it."""
        return self.subscription is None and self.current is None and self.target is None

    def cancel(self) -> None:
        """Stop its timers."""
        for timer in (self.session, self.rebalance, self.sync):
            if timer is not None:
                timer.cancel()
        self.session = self.rebalance = self.sync = None
