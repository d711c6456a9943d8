"""A classic group: its states, and what moves it from one rebalance to the next.

    Empty --join--> PreparingRebalance --all joined, or time is up--> CompletingRebalance
      ^                 |        ^                                        |
      +---nobody left---+        +--- join, leave, death, no sync --------+--leader's assignment
                                 +------------------------------- Stable <----- is stored

Kafka: ClassicGroup and GroupMetadataManager; KIP-62, KIP-134 (gathering first joins), KIP-345.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from logging import Logger

from fastbroker.coordination.append_error import append_error
from fastbroker.errors import KafkaError, RebalanceInProgress, UnknownMemberId
from fastbroker.group.caller import Caller
from fastbroker.group.classic.member import Member
from fastbroker.group.classic.record import Record, group_record, members_of
from fastbroker.group.classic.roster import Expected, Roster
from fastbroker.group.classic.session import Sessions
from fastbroker.group.classic.state import PRECEDING, State
from fastbroker.group.classic.subscription import CONSUMER, subscribed_topics
from fastbroker.group.group_log import GroupLog, listed
from fastbroker.group.settings import GroupSettings
from fastbroker.model import Deferred, Timer, Timers
from fastbroker.protocol.group_records import GroupMetadataValue
from fastbroker.protocol.messages.join_group import JoinGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupResponse

RETRY_MS = 1_000  # a rebalance that nobody joined is not looked at more often

Store = Callable[[list[Record]], Deferred[None]]


class ClassicGroup:
    """One group, alive on the coordinator of its partition.

    generation_id: counts completed joins; protocol_type and protocol_name are None before the
    first one. state_since_ms: wall clock of the last transition, None when a record lacks it.
    storing: the leader's assignment of this generation is being written.
    reason: why the newest rebalance began.
    join_deadline_ms, sync_deadline_ms: when who is missing is not waited for any more, by the
    monotonic clock; None: nobody is waited for.
    vacated: called when an id handed out was not used and may have been all there was.
    """

    def __init__(
        self,
        group_id: str,
        *,
        settings: GroupSettings,
        timers: Timers,
        store: Store,
        log: Logger | GroupLog,
        vacated: Callable[[ClassicGroup], object] = lambda group: None,
    ) -> None:
        self.group_id = group_id
        self.settings, self.timers, self.store, self.log = settings, timers, store, log
        self.vacated = vacated
        self.roster = Roster()
        self._sessions: Sessions[Member] = Sessions(timers, self._silent)
        self.state = State.EMPTY
        self.state_since_ms: int | None = timers.now_ms()
        self.generation_id = 0
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.storing = False
        self._topics: set[str] | None = None  # what the members read; None: not known
        self._is_led = True  # a leader made the assignment that a record keeps
        self.reason = ""
        self.join_deadline_ms: int | None = None
        self.sync_deadline_ms: int | None = None
        self._gathering_since_ms: int | None = None  # the group was empty: first joins are awaited
        self._not_synced: set[str] = set()
        self._join_timer: Timer | None = None
        self._sync_timer: Timer | None = None

    # Members come, change and go.

    def admit(
        self,
        member: Member,
        *,
        protocol_type: str,
        answer: Deferred[JoinGroupResponse],
        reason: str,
    ) -> None:
        """Take in a new member that waits with `answer`, and rebalance."""
        if not len(self.roster):
            self.protocol_type = protocol_type
        member.is_new = True
        self.roster.add(member)
        self.roster.await_join(member, answer)
        self.touch(member, self.settings.new_member_timeout_ms)
        if self.gathering:
            self._await_more_joins()
        self.rebalance_or_complete(reason)

    def rejoin(
        self, member: Member, answer: Deferred[JoinGroupResponse], reason: str
    ) -> None:
        """A member joins the next generation."""
        before = self.roster.await_join(member, answer)
        self.rebalance_or_complete(reason)
        if before is not None:
            before.complete(
                JoinGroupResponse(error_code=RebalanceInProgress.code, member_id=member.member_id)
            )

    def rename(self, member: Member, member_id: str) -> None:
        """Give a static member a new id; the old one is fenced from now on."""
        assert not member.waits
        if member.member_id in self._not_synced:
            self._not_synced.remove(member.member_id)
            self._not_synced.add(member_id)
        self.roster.rename(member, member_id)

    def strike_out(self, member: Member) -> Callable[[], None]:
        """Take a member off the roster; call the result to answer what it waits with.

        The rebalance is left to the caller, who may have more members to remove.
        """
        join, sync = self.roster.take_join(member), member.take_sync()
        self.roster.remove(member)
        self._synced(member.member_id)

        def answer() -> None:
            if join is not None:
                join.complete(JoinGroupResponse(error_code=UnknownMemberId.code))
            if sync is not None:
                sync.complete(SyncGroupResponse(error_code=UnknownMemberId.code))

        return answer

    def remove(self, member: Member, reason: str) -> None:
        """Take a member off the roster and rebalance."""
        answer = self.strike_out(member)
        self.after_removal(reason)
        answer()

    def after_removal(self, reason: str) -> None:
        """Members were struck out: rebalance, or complete one that waited only for them."""
        if self.state in (State.STABLE, State.COMPLETING):
            self.prepare_rebalance(reason)
        else:
            self.complete_if_all_joined()

    def hand_out(self, member_id: str, caller: Caller, timeout_ms: int) -> None:
        """Expect a JoinGroup with `member_id`, which a newcomer is being told (KIP-394)."""
        if len(self.roster.pending) >= self.settings.max_pending_members:
            self.roster.forget_pending(next(iter(self.roster.pending)))
        now_ms = self.timers.monotonic_ms()
        self.roster.pending[member_id] = Expected(
            timer=self.timers.after(timeout_ms, self._pending_over, member_id),
            client_id=caller.client_id or "",
            client_host=caller.client_host,
            since_ms=now_ms,
            deadline_ms=now_ms + timeout_ms,
        )
        if self.gathering:
            self._await_more_joins()

    def _pending_over(self, member_id: str) -> None:
        self.roster.forget_pending(member_id)
        self.complete_if_all_joined()
        self.vacated(self)

    def touch(self, member: Member, timeout_ms: int | None = None) -> None:
        """The member is alive: its session lasts its timeout from now."""
        self._sessions.touch(member, timeout_ms or member.session_timeout_ms)

    def _silent(self, member: Member) -> None:
        what = "has not come back to join" if member.is_new else "was silent for its session"
        self.remove(member, f"member {member.member_id} {what}")

    # Rebalance.

    @property
    def gathering(self) -> bool:
        """Whether first joins of an empty group are awaited."""
        return self._gathering_since_ms is not None

    def rebalance_or_complete(self, reason: str) -> None:
        """Start a rebalance; in one already, complete it if nobody is missing."""
        if self.state is State.PREPARING:
            self.complete_if_all_joined()
        else:
            self.prepare_rebalance(reason)

    def prepare_rebalance(self, reason: str) -> None:
        """Ask everyone to join again; who waits for an assignment is told so."""
        syncs = self._take_syncs() if self.state is State.COMPLETING else []
        self._stop_awaiting_syncs()
        first, members = self.state is State.EMPTY, len(self.roster)
        self._enter(State.PREPARING)
        self.reason = reason
        self.log.info(
            "group %s: rebalance after generation %d with %d members: %s",
            self.group_id, self.generation_id, members, reason,
        )  # fmt: skip
        if first:
            self._gathering_since_ms = self.timers.monotonic_ms()
            self._await_more_joins()
        elif self.roster.everyone_joined:
            self.complete_join()
        else:
            self._await_joins(self.roster.rebalance_timeout_ms)
        for sync in syncs:
            sync.complete(SyncGroupResponse(error_code=RebalanceInProgress.code))

    def complete_if_all_joined(self) -> None:
        """Complete the rebalance if nobody is missing; first joins are gathered to the end."""
        if self.state is State.PREPARING and not self.gathering and self.roster.everyone_joined:
            self.complete_join()

    def complete_join(self) -> None:
        """The next generation: whoever joined, and static members who are still expected."""
        self._stop_awaiting_joins()
        self._gathering_since_ms = None
        for member in list(self.roster):
            if member.awaiting_join is None and member.group_instance_id is None:
                self.roster.remove(member)
        if len(self.roster) and not self.roster.elect_joined_leader():
            # Static members alone, none of which came: their sessions end, or one comes.
            self._await_joins(max(self.roster.rebalance_timeout_ms, RETRY_MS))
            return
        self.generation_id += 1
        self.storing = False
        if not len(self.roster):
            self._become_empty()
            return
        self.protocol_name = self.roster.select_protocol()
        self.learn_topics()
        self._enter(State.COMPLETING)
        self._not_synced = set(self.roster.members)
        self._await_syncs(self.roster.rebalance_timeout_ms)
        answers = []
        for member in self.roster:
            member.is_new = False
            self.touch(member)
            answers.append((self.roster.take_join(member), self.join_response(member)))
        for answer, response in answers:
            if answer is not None:
                answer.complete(response)

    def join_response(self, member: Member) -> JoinGroupResponse:
        """What `member` is told of the current generation; the leader learns who is in it."""
        assert self.protocol_name is not None
        members = []
        if member.member_id == self.roster.leader:
            members = [
                JoinGroupResponse.JoinGroupResponseMember(
                    member_id=m.member_id,
                    group_instance_id=m.group_instance_id,
                    metadata=m.protocols[self.protocol_name],
                )
                for m in self.roster
            ]
        return JoinGroupResponse(
            generation_id=self.generation_id,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol_name,
            leader=self.roster.leader or "",
            member_id=member.member_id,
            members=members,
        )

    def _await_joins(self, delay_ms: int) -> None:
        self._join_timer = self.timers.after(delay_ms, self.complete_join)
        self.join_deadline_ms = self.timers.monotonic_ms() + delay_ms

    def _stop_awaiting_joins(self) -> None:
        if self._join_timer is not None:
            self._join_timer.cancel()
            self._join_timer = self.join_deadline_ms = None

    def _await_more_joins(self) -> None:
        """First joins end a while after the last one, and in any case a while after the first."""
        assert self._gathering_since_ms is not None
        quiet_ms, limit_ms = self.settings.window_quiet_ms, self.settings.window_limit_ms
        if self.settings.initial_rebalance_delay_ms is not None:
            quiet_ms = self.settings.initial_rebalance_delay_ms
            limit_ms = max(quiet_ms, self.roster.rebalance_timeout_ms)
        left_ms = self._gathering_since_ms + limit_ms - self.timers.monotonic_ms()
        self._stop_awaiting_joins()
        self._await_joins(max(0, min(quiet_ms, left_ms)))

    def _become_empty(self) -> None:
        self.protocol_name = None
        self.learn_topics()
        self._enter(State.EMPTY)
        self.log.info("group %s: empty, generation %d", self.group_id, self.generation_id)
        self.store([group_record(self, {})]).then(self._empty_stored)

    def _empty_stored(self, stored: Deferred[None]) -> None:
        # Without the record, a reload finds the previous generation, whose sessions then end.
        if stored.error is not None:
            self.log.warning(
                "group %s: that it is empty was not stored: %s", self.group_id, stored.error
            )

    def _enter(self, state: State) -> None:
        assert self.state in PRECEDING[state], f"{self.group_id}: {self.state} -> {state}"
        self.state = state
        self.state_since_ms = self.timers.now_ms()

    # Assignments.

    def await_sync(
        self, member: Member, answer: Deferred[SyncGroupResponse]
    ) -> Deferred[SyncGroupResponse] | None:
        """Let `member` wait with `answer`; the request it waited with before, to be answered."""
        before = member.take_sync()
        member.awaiting_sync = answer
        self._synced(member.member_id)
        return before

    def assign(self, assignments: dict[str, bytes]) -> None:
        """Store the leader's assignments; members learn theirs when that is done."""
        if self.storing:
            return
        self.storing = True
        generation = self.generation_id
        self.store([group_record(self, assignments)]).then(
            lambda stored: self._stored(stored, generation, assignments)
        )

    def _stored(
        self, stored: Deferred[None], generation: int, assignments: dict[str, bytes]
    ) -> None:
        if self.state is not State.COMPLETING or generation != self.generation_id:
            return  # a rebalance began meanwhile and told those who waited
        if stored.error is not None:
            self.storing = False
            response = SyncGroupResponse(error_code=append_error(stored.error))
            answers = [(sync, response) for sync in self._take_syncs()]
            self.prepare_rebalance(f"its assignment was not stored: {stored.error}")
        else:
            self._enter(State.STABLE)
            answers = []
            for member in self.roster:
                member.assignment = assignments.get(member.member_id, b"")
                sync = member.take_sync()
                if sync is not None:
                    self.touch(member)
                    answers.append((sync, self.sync_response(member)))
        for sync, response in answers:
            sync.complete(response)

    def sync_response(self, member: Member) -> SyncGroupResponse:
        """What `member` was assigned in the current generation."""
        return SyncGroupResponse(
            protocol_type=self.protocol_type,
            protocol_name=self.protocol_name,
            assignment=member.assignment,
        )

    def got_assignment(self, member: Member) -> None:
        """The member has asked for the assignment of a stable group."""
        self._synced(member.member_id)

    def _take_syncs(self) -> list[Deferred[SyncGroupResponse]]:
        """Forget what was assigned; the requests that waited for it, to be answered."""
        waiting = []
        for member in self.roster:
            member.assignment = b""
            sync = member.take_sync()
            if sync is not None:
                self.touch(member)
                waiting.append(sync)
        return waiting

    def _synced(self, member_id: str) -> None:
        self._not_synced.discard(member_id)
        if not self._not_synced:
            self._stop_awaiting_syncs()

    def _await_syncs(self, delay_ms: int) -> None:
        self._sync_timer = self.timers.after(delay_ms, self._sync_over, self.generation_id)
        self.sync_deadline_ms = self.timers.monotonic_ms() + delay_ms

    def _stop_awaiting_syncs(self) -> None:
        self._not_synced.clear()
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = self.sync_deadline_ms = None

    def _sync_over(self, generation: int) -> None:
        self._sync_timer = self.sync_deadline_ms = None
        missing = [m for m in self.roster if m.member_id in self._not_synced]
        if generation != self.generation_id or not missing:
            return
        names = listed(member.member_id for member in missing)
        answers = [self.strike_out(member) for member in missing]
        self.prepare_rebalance(f"members that did not sync were removed: {names}")
        for answer in answers:
            answer()

    # What people ask.

    def is_missing(self, member: Member) -> bool:
        """Whether a group that is completing has yet to hear from `member`."""
        return member.member_id in self._not_synced

    def wall_ms(self, monotonic_ms: int) -> int:
        """A time of the monotonic clock as one of the wall's."""
        return self.timers.now_ms() + monotonic_ms - self.timers.monotonic_ms()

    @property
    def dead(self) -> bool:
        """Whether it takes no requests."""
        return self.state is State.DEAD

    @property
    def is_empty(self) -> bool:
        return self.state is State.EMPTY

    # Topics.

    @property
    def is_consumer(self) -> bool:
        return self.protocol_type == CONSUMER

    def subscribed_topics(self) -> set[str] | None:
        """What the members of a consumer group read in this generation; None when that cannot be
        known."""
        return self._topics

    def learn_topics(self) -> None:
        """A generation begins, and with it what its members read."""
        self._topics = None
        if self.is_consumer:
            chosen = self.protocol_name or ""
            self._topics = subscribed_topics(m.protocols[chosen] for m in self.roster)

    # A coordinator takes over, and gives up.

    def restore(self, value: GroupMetadataValue) -> None:
        """Become what the record says; sessions are not started."""
        assert not len(self.roster)
        self.generation_id = value.generation
        self.protocol_type = value.protocol_type or None
        self.protocol_name = value.protocol
        for member in members_of(value):
            self.roster.add(member)
        if value.leader in self.roster.members:
            self.roster.leader = value.leader
        self.learn_topics()
        self._is_led = value.leader is not None
        self.state = State.STABLE if len(self.roster) else State.EMPTY
        since = value.current_state_timestamp
        self.state_since_ms = since if since >= 0 else None

    def begin(self) -> None:
        """This coordinator takes over: every member has a full session to be heard from."""
        for member in self.roster:
            self.touch(member)
        if len(self.roster) > self.settings.max_size:
            self.prepare_rebalance(f"it has more than group.max.size={self.settings.max_size}")
        elif len(self.roster) and not self._is_led:
            self.prepare_rebalance("it has an assignment that no leader has made")

    def end(self, error: type[KafkaError]) -> None:
        """Take no more requests; who waits is told `error`."""
        self.state = State.DEAD
        for member_id in list(self.roster.pending):
            self.roster.forget_pending(member_id)
        self._stop_awaiting_syncs()
        self._stop_awaiting_joins()
        answers: list[Callable[[], object]] = []
        for member in self.roster:
            if member.session is not None:
                member.session.cancel()
            join, sync = self.roster.take_join(member), member.take_sync()
            if join is not None:
                response = JoinGroupResponse(error_code=error.code, member_id=member.member_id)
                answers.append(partial(join.complete, response))
            if sync is not None:
                answers.append(partial(sync.complete, SyncGroupResponse(error_code=error.code)))
        for answer in answers:
            answer()

    def revive(self) -> None:
        """It was to be deleted, and was not: as empty as before."""
        assert self.state is State.DEAD
        assert not len(self.roster)
        self.state = State.EMPTY
