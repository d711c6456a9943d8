"""A change of a group: applied at once, written, and undone if it was not written.

Requests that follow see it before it is in the log, as their own records come after its records
there; nobody is answered before everything that an answer rests on is below the high watermark.
When a write fails, it and what was done after it is undone, the newest first; what of that
reaches the log all the same is applied when it does, as its replay would be. (A log that loses a
write loses those behind it, too: it has another leader, or its disk is gone.)
Kafka: CoordinatorRuntime, with snapshots in place of undoing.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from fastbroker.coordination.append_error import append_error
from fastbroker.errors import CoordinatorNotAvailable
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.record import Record, group_record
from fastbroker.group.consumer import records
from fastbroker.group.consumer.assignor.spec import Assignment
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import Current, Subscription
from fastbroker.group.consumer.records import Epoch, Resolved, TargetEpoch
from fastbroker.group.consumer.state import MemberState
from fastbroker.group.group_log import GroupLog
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.group_records import GroupMetadataValue
from fastbroker.protocol.record_frames import decode_value

RECORDS_A_WRITE = 1_000  # a change of more records is written in several batches

Step = tuple[Record | None, Callable[[], object]]  # what is written, and what undoes it
R = TypeVar("R")


class Home(Protocol):
    """The partition of __consumer_offsets that a group is kept in; a Shard is one.

    in_flight: changes that are being written, oldest first.
    """

    groups: dict[str, Any]
    ended: bool
    in_flight: list[Written]
    timers: Timers
    group_log: GroupLog

    def write(self, records: list[Record]) -> Deferred[None]: ...

    def replay(self, key: bytes | None, value: bytes | None) -> None: ...

    def make_classic(self, group_id: str) -> ClassicGroup: ...

    def make_consumer(self, group_id: str) -> ConsumerGroup: ...


class Written:
    """A part of a change on its way into the log."""

    def __init__(self, home: Home, group_id: str, steps: list[Step]) -> None:
        self.home, self.group_id, self.steps = home, group_id, steps
        self.undone = False
        home.in_flight.append(self)
        self.done = home.write([record for record, _ in steps if record is not None])
        self.done.then(self._over)

    def _over(self, write: Deferred[None]) -> None:
        home = self.home
        if home.ended:
            return
        if self.undone:
            if write.error is None:
                for record, _ in self.steps:
                    if record is not None:
                        home.replay(*record)
                _watched(home, self.group_id)
            return
        at = home.in_flight.index(self)
        if write.error is None:
            del home.in_flight[at]
            return
        home.group_log.warning(
            "group %s: a change was not written, and is undone: %s", self.group_id, write.error
        )
        gone = home.in_flight[at:]
        del home.in_flight[at:]
        for one in reversed(gone):
            one.undone = True
            _undo(one.steps)
        for group_id in dict.fromkeys(one.group_id for one in gone):
            _watched(home, group_id)


class Change:
    """What one request, or the end of a wait, does to a group.

    group: the consumer group; `install` changes which it is.
    after_write: called once the write has begun.
    """

    def __init__(self, home: Home, group: ConsumerGroup) -> None:
        self.home, self.group = home, group
        self.group_id = group.group_id
        self._steps: list[Step] = []
        self._after_write: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    # Steps.

    # Each makes its record first: what cannot be written is not done either.

    def epoch(self, value: Epoch) -> None:
        record = records.epoch_record(self.group_id, value)
        self.step(record, partial(self.group.set_epoch, self.group.set_epoch(value)))

    def target_epoch(self, value: TargetEpoch) -> None:
        record = records.target_epoch_record(self.group_id, value)
        self.step(record, partial(self.group.set_target_epoch, self.group.set_target_epoch(value)))

    def subscription(self, member_id: str, value: Subscription | None) -> None:
        record = records.subscription_record(self.group_id, member_id, value)
        was = self.group.set_subscription(member_id, value)
        self.step(record, partial(self.group.set_subscription, member_id, was))

    def target(self, member_id: str, value: Assignment | None) -> None:
        record = records.target_record(self.group_id, member_id, value)
        was = self.group.set_target(member_id, value)
        self.step(record, partial(self.group.set_target, member_id, was))

    def current(self, member_id: str, value: Current | None) -> None:
        record = records.current_record(self.group_id, member_id, value)
        was = self.group.set_current(member_id, value)
        self.step(record, partial(self.group.set_current, member_id, was))

    def regex(self, regex: str, value: Resolved | None) -> None:
        record = records.regex_record(self.group_id, regex, value)
        self.step(record, partial(self.group.set_regex, regex, self.group.set_regex(regex, value)))

    def forget_old_topics(self) -> None:
        """Delete what Kafka 4.0 kept of the group's topics."""
        self.group.has_old_topics = False
        self.step(records.old_topics_tombstone(self.group_id))

    def remove(self, member_id: str) -> None:
        """Delete a member."""
        self.current(member_id, None)
        self.target(member_id, None)
        self.subscription(member_id, None)

    def step(self, record: Record, undo: Callable[[], object] = lambda: None) -> None:
        """Write `record`, which says what was done."""
        self._steps.append((record, undo))

    def install(self, group: ClassicGroup | ConsumerGroup) -> None:
        """Put `group` in the place of the one that there is, if any."""
        home, group_id = self.home, self.group_id
        old = home.groups.get(group_id)
        home.groups[group_id] = group
        if isinstance(group, ConsumerGroup):
            self.group = group

        def undo() -> None:
            replaced = home.groups.pop(group_id, None)
            if replaced is not None and not replaced.dead:
                replaced.end(CoordinatorNotAvailable)
            if isinstance(old, ClassicGroup) and old.dead:
                home.groups[group_id] = _as_before(home, old)
            elif old is not None:
                home.groups[group_id] = old

        self._steps.append((None, undo))

    def after_write(self, call: Callable[[], object]) -> None:
        self._after_write.append(call)

    # The end of it.

    def revert(self) -> None:
        """Undo everything; nothing was written."""
        _undo(self._steps)
        self._steps.clear()
        self._after_write.clear()
        self.group.distrust()
        _watched(self.home, self.group_id)

    def write(self) -> Deferred[None]:
        """Write the steps; done when all of them are below the high watermark."""
        steps = self._steps
        assert steps
        pieces = []
        for at in range(0, len(steps), RECORDS_A_WRITE):
            piece = Written(self.home, self.group_id, steps[at : at + RECORDS_A_WRITE])
            pieces.append(piece.done)
            if piece.done.error is not None:
                break
        done = pieces[0] if len(pieces) == 1 else _all(pieces)
        group = self.group
        if not done.done:
            group.newest_write = done
            done.then(partial(_settled, group))
        if done.error is not None:
            group.distrust()
        else:
            for call in self._after_write:
                call()
        return done

    def answer(
        self, response: R, failed: Callable[[int, str], R]
    ) -> R | Deferred[R]:
        """`response` once all that it rests on is written.

        failed(error code, message): what is answered instead when it was not.
        """
        newest = self.write() if self._steps else self.group.newest_write
        if newest is None or (newest.done and newest.error is None):
            return response
        answer: Deferred[R] = Deferred()

        def written(write: Deferred[None]) -> None:
            if write.error is None:
                answer.complete(response)
            else:
                message = f"the group's change was not stored: {write.error}; try again"
                answer.complete(failed(append_error(write.error), message))

        newest.then(written)
        return answer


def _settled(group: ConsumerGroup, write: Deferred[None]) -> None:
    if group.newest_write is write:
        group.newest_write = None
    if write.error is not None:
        group.distrust()


def _undo(steps: list[Step]) -> None:
    for _, undo in reversed(steps):
        undo()


def _watched(home: Home, group_id: str) -> None:
    """The timers are again those of the members as they are again."""
    group = home.groups.get(group_id)
    if not isinstance(group, ConsumerGroup):
        return
    if not group.members and group.epoch_kept is None:
        del home.groups[group_id]
        return
    group.distrust()
    group.drop_remains()
    for member in group.members.values():
        if member.session is None:
            group.watch(member)
        if member.is_classic:
            continue
        if member.now.state is MemberState.UNREVOKED_PARTITIONS:
            group.await_release(member, again=False)
        else:
            group.released(member)


def _as_before(home: Home, old: ClassicGroup) -> ClassicGroup:
    """A classic group that was ended, as a reload would find it: its members join again."""
    group = home.make_classic(old.group_id)
    if old.protocol_name is not None or not len(old.roster):
        _, value = group_record(old, {one.member_id: one.assignment for one in old.roster})
        assert value is not None
        group.restore(decode_value(value, GroupMetadataValue))
        group.begin()
    return group


def _all(pieces: list[Deferred[None]]) -> Deferred[None]:
    """Done when all are; the first error."""
    done: Deferred[None] = Deferred()
    left = len(pieces)

    def one(_: Deferred[None]) -> None:
        nonlocal left
        left -= 1
        if not left:
            failed = next((piece.error for piece in pieces if piece.error is not None), None)
            done.complete(None) if failed is None else done.fail(failed)

    for piece in pieces:
        piece.then(one)
    return done
