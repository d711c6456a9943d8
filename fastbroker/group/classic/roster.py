"""Who is in a classic group: members, static ids, the leader, votes, ids handed out in advance."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastbroker.errors import FencedInstanceId, UnknownMemberId
from fastbroker.group.classic.member import Member
from fastbroker.model import Deferred, Timer
from fastbroker.protocol.messages.join_group import JoinGroupResponse


class Expected(NamedTuple):
    """Whoever was given a member id in advance. Times are of the monotonic clock.

    timer: forgets the id at `deadline_ms`.
    """

    timer: Timer
    client_id: str
    client_host: str
    since_ms: int
    deadline_ms: int


class Roster:
    """The members of one group.

    members: by member id, in the order they came.
    static: member id by group instance id.
    pending: ids given out with MEMBER_ID_REQUIRED whose owners have not come back; oldest first.
    Invariant: the leader is a member; there is one whenever there are members.
    """

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.static: dict[str, str] = {}
        self.pending: dict[str, Expected] = {}
        self.leader: str | None = None
        self._supported: Counter[str] = Counter()
        self.joining = 0  # members that wait with a JoinGroup

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    def __len__(self) -> int:
        return len(self.members)

    def check(self, member_id: str, group_instance_id: str | None) -> Member:
        """The member `member_id`. Raises UnknownMemberId, FencedInstanceId (KIP-345)."""
        if group_instance_id is not None:
            owner = self.static.get(group_instance_id)
            if owner is None:
                raise UnknownMemberId(
                    f"no member has group.instance.id {group_instance_id!r}: join again"
                )
            if owner != member_id:
                raise FencedInstanceId(
                    f"group.instance.id {group_instance_id!r} belongs to a newer member:"
                    " give every instance its own id"
                )
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberId(f"{member_id!r} is not a member: join again")
        return member

    def add(self, member: Member) -> None:
        """Take in a member with a new id; the first one leads."""
        assert member.member_id not in self.members
        self.forget_pending(member.member_id)
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self.static[member.group_instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id
        self._supported.update(member.protocols.keys())

    def remove(self, member: Member) -> None:
        """Strike out a member; its waiting requests must have been taken."""
        assert not member.waits
        del self.members[member.member_id]
        if member.group_instance_id is not None:
            del self.static[member.group_instance_id]
        self._withdraw(member)
        if member.session is not None:
            member.session.cancel()
            member.session = None
        if self.leader == member.member_id:
            self.leader = next(iter(self.members), None)

    def rename(self, member: Member, member_id: str) -> None:
        """Give a static member a new id, which fences the old one."""
        assert member.group_instance_id is not None
        if self.leader == member.member_id:
            self.leader = member_id
        del self.members[member.member_id]
        member.member_id = member_id
        self.members[member_id] = member
        self.static[member.group_instance_id] = member_id

    def offer(self, member: Member, protocols: dict[str, bytes]) -> None:
        """Replace what `member` offers."""
        self._withdraw(member)
        member.protocols = protocols
        self._supported.update(protocols.keys())

    def forget_pending(self, member_id: str) -> None:
        """Forget an id handed out, if it is one."""
        expected = self.pending.pop(member_id, None)
        if expected is not None:
            expected.timer.cancel()

    def supports(self, protocols: Iterable[str]) -> bool:
        """Whether every member could use one of `protocols`."""
        return any(self._supported[name] == len(self.members) for name in protocols)

    def select_protocol(self) -> str:
        """The protocol with most votes among those that every member supports."""
        candidates = {name for name, n in self._supported.items() if n == len(self.members)}
        votes = Counter(member.vote(candidates) for member in self.members.values())
        return max(votes, key=lambda name: votes[name])

    def await_join(
        self, member: Member, answer: Deferred[JoinGroupResponse]
    ) -> Deferred[JoinGroupResponse] | None:
        """Let `member` wait with `answer`; the request it waited with before, to be answered."""
        before = self.take_join(member)
        member.awaiting_join = answer
        self.joining += 1
        return before

    def take_join(self, member: Member) -> Deferred[JoinGroupResponse] | None:
        """The JoinGroup that `member` waits with, which the caller is to answer."""
        answer, member.awaiting_join = member.awaiting_join, None
        self.joining -= answer is not None
        return answer

    @property
    def everyone_joined(self) -> bool:
        return self.joining == len(self.members) and not self.pending

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member asks for."""
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    def elect_joined_leader(self) -> bool:
        """Make sure that the leader is one who joins; False when nobody does."""
        if self.leader is not None and self.members[self.leader].awaiting_join is not None:
            return True
        joined = next((m for m in self.members.values() if m.awaiting_join is not None), None)
        if joined is None:
            return False
        self.leader = joined.member_id
        return True

    def _withdraw(self, member: Member) -> None:
        self._supported.subtract(member.protocols.keys())
        self._supported = +self._supported  # names that nobody offers any more are dropped
