"""What was read of what was written: wrong values, lost ones, torn transactions.

The version order of a partition maps offsets to values: of acknowledged sends that must have taken
effect, and of all polls. Gaps in it are legal (markers, aborted transactions).
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from tests.history.events import History, Outcome, Place, Write
from tests.history.findings import Finding


class Visibility:
    """What anybody read of a history, by value and by offset."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.read: set[tuple[str, str]] = set()  # topic and value, at read_committed
        self.order: dict[Place, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.first_read: dict[tuple[Place, str], int] = {}  # the lowest offset of a value
        self.topics = {topic for topic, _ in history.writes}
        visible: dict[Place, set[int]] = defaultdict(set)
        for poll in history.polls:
            topic = poll.place[0]
            for offset, _, value in poll.records:
                self.order[poll.place][offset].add(value)
                name = (poll.place, value)
                self.first_read[name] = min(offset, self.first_read.get(name, offset))
                if poll.committed:
                    self.read.add((topic, value))
                    writer = history.writes.get((topic, value))
                    if writer is None or writer.outcome is not Outcome.FAIL:
                        visible[poll.place].add(offset)
        for write in history.writes.values():
            if write.offset is None or write.place is None:
                continue
            if history.must_be_there(write, self.read):
                self.order[write.place][write.offset].add(write.value)
        self.visible = {place: sorted(offsets) for place, offsets in visible.items()}

    def between(self, place: Place, after: int, before: int) -> list[int]:
        """The offsets in (after, before) at which somebody read a value that was there."""
        offsets = self.visible.get(place, [])
        return offsets[bisect_right(offsets, after) : bisect_left(offsets, before)]

    def findings(self) -> Iterator[Finding]:
        yield from self._order()
        yield from self._values()
        yield from self._missing()

    def _order(self) -> Iterator[Finding]:
        for place, order in self.order.items():
            offsets: dict[str, list[int]] = defaultdict(list)
            for offset, values in sorted(order.items()):
                if len(values) > 1:
                    yield Finding("inconsistent-offsets", f"{place} {offset}: {sorted(values)}")
                for value in values:
                    offsets[value].append(offset)
            for value, found in offsets.items():
                if len(found) > 1:
                    yield Finding("duplicate", f"{place} {value!r} at {found}")

    def _values(self) -> Iterator[Finding]:
        """What is wrong with a value that was read, whoever read it first."""
        seen: set[tuple[Place, str, str | None, bool]] = set()
        elsewhere = {value: write for (_, value), write in self.history.writes.items()}
        for poll in self.history.polls:
            topic, partition = poll.place
            if topic not in self.topics:
                continue  # nobody noted what was sent there
            for offset, key, value in poll.records:
                once = (poll.place, value, key, poll.committed)
                if once in seen:
                    continue
                seen.add(once)
                where = f"{value!r} at {topic}/{partition} {offset}, read by {poll.process}"
                writer = self.history.writes.get((topic, value))
                if writer is None:
                    other = elsewhere.get(value)
                    if other is None:
                        yield Finding("phantom", where)
                    else:
                        yield Finding("misrouted", f"{where}, sent to {other.topic}")
                elif writer.partition not in (None, partition) or writer.key != key:
                    told = f"sent to {writer.partition} with key {writer.key!r}, not {key!r}"
                    yield Finding("misrouted", f"{where}, {told}")
                elif poll.committed and writer.outcome is Outcome.FAIL:
                    yield Finding("aborted-read", f"{where}, of transaction {writer.txn}")
            if poll.txn is not None and poll.committed:
                for offset, _, value in poll.records:
                    writer = self.history.writes.get((topic, value))
                    if writer is not None and writer.txn == poll.txn:
                        where = f"{value!r} at {poll.place} {offset}"
                        yield Finding("precommitted-read", f"{where} by its own {poll.txn}")

    def _missing(self) -> Iterator[Finding]:
        for write in self.history.writes.values():
            if (write.topic, write.value) in self.read:
                continue
            if not self.history.must_be_there(write, self.read):
                continue
            passed, at_end = self._was_passed(write), self._was_at_end(write)
            if not (passed or at_end):
                continue
            what = f"{write.value!r} of {write.process} at {write.place} {write.offset}"
            if write.txn is not None and any(
                (w.topic, w.value) in self.read for w in self.history.transactions[write.txn].writes
            ):
                yield Finding("torn-transaction", f"{write.txn}: {what}")
            elif passed:
                yield Finding("lost-write", what)
            else:
                yield Finding("unseen", what)

    def _was_passed(self, write: Write) -> bool:
        """Whether a value behind `write` was read."""
        if write.place is None or write.offset is None:
            return False
        visible = self.visible.get(write.place)
        return bool(visible) and visible[-1] > write.offset  # type: ignore[index]

    def _was_at_end(self, write: Write) -> bool:
        """Whether its partition was read to the end after `write` had taken effect."""
        if write.place is None:
            return False
        reached = self.history.reached.get(write.place)
        if reached is None:
            return False
        if write.offset is not None:
            return bool(reached.what > write.offset)
        return write.acked_at is not None and reached.at > write.acked_at
