"""Orders that must hold: of a reader's polls, of a sender's records, of time, of end offsets."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.history.events import History, Outcome, Place, Write
from tests.history.findings import Finding
from tests.history.visibility import Visibility


def polls_in_order(history: History, visibility: Visibility) -> Iterator[Finding]:
    """Each reader goes on where it was, and passes over nothing that somebody could read."""
    last: dict[tuple[str, Place], tuple[int, int]] = {}  # run, offset
    for poll in history.polls:
        if not poll.committed or not poll.records:
            continue
        before = last.get((poll.process, poll.place))
        at = before[1] if before is not None and before[0] == poll.run else None
        kind = ""  # between polls, then within one
        for offset, _, _ in poll.records:
            if at is not None:
                step = f"{poll.process} at {poll.place}: {offset} after {at}"
                if offset <= at:
                    yield Finding(f"{kind}nonmonotonic-poll", step)
                elif skipped := visibility.between(poll.place, at, offset):
                    yield Finding(f"{kind}poll-skip", f"{step}, not {skipped[:5]}")
            at, kind = offset, "int-"
        assert at is not None
        last[poll.process, poll.place] = (poll.run, at)


def sends_in_order(history: History, visibility: Visibility) -> Iterator[Finding]:
    """A sender's records stand in its order, and those of all senders in that of time."""
    written = [w for w in history.writes.values() if w.outcome is not Outcome.FAIL]
    yield from _acknowledged(written)
    yield from _read(written, visibility)
    by_place: dict[Place, list[Write]] = defaultdict(list)
    for write in written:
        if write.offset is not None and write.place is not None:
            by_place[write.place].append(write)
    for place, writes in by_place.items():
        yield from _in_time(place, writes)


def _acknowledged(written: Sequence[Write]) -> Iterator[Finding]:
    last: dict[tuple[str, Place], Write] = {}
    for write in written:
        if write.place is None or write.offset is None:
            continue
        before = last.get((write.process, write.place))
        if before is not None and before.offset is not None and before.offset >= write.offset:
            inside = "int-" if write.txn is not None and write.txn == before.txn else ""
            what = f"{before.value!r} at {before.offset}, then {write.value!r} at {write.offset}"
            yield Finding(f"{inside}nonmonotonic-send", f"{write.process} {write.place}: {what}")
        last[write.process, write.place] = write


def _read(written: Sequence[Write], visibility: Visibility) -> Iterator[Finding]:
    last: dict[tuple[str, Place, str], tuple[Write, int]] = {}
    for write in written:
        if write.place is None or write.key is None:
            continue
        offset = visibility.first_read.get((write.place, write.value))
        if offset is None:
            continue
        name = (write.process, write.place, write.key)
        before, at = last.get(name, (None, -1))
        if before is not None and at >= offset and not _told_already(before, write):
            what = f"{before.value!r} at {at}, then {write.value!r} at {offset}"
            yield Finding("key-order", f"{write.process} {write.place} {write.key!r}: {what}")
        last[name] = (write, offset)


def _told_already(before: Write, write: Write) -> bool:
    """Whether the acknowledgements show the same fault."""
    if before.offset is None or write.offset is None:
        return False
    return before.offset >= write.offset


def _in_time(place: Place, writes: Sequence[Write]) -> Iterator[Finding]:
    """Of different senders; one sender's own are looked at above."""
    acknowledged = sorted((w for w in writes if w.acked_at is not None), key=_acked_at)
    highest: dict[str, Write] = {}  # the highest offset acknowledged so far, by process
    upto = 0
    for write in sorted(writes, key=lambda w: w.at):
        while upto < len(acknowledged) and _acked_at(acknowledged[upto]) < write.at:
            early = acknowledged[upto]
            best = highest.get(early.process)
            if best is None or _offset(best) < _offset(early):
                highest[early.process] = early
            upto += 1
        for process, early in highest.items():
            if process != write.process and _offset(early) > _offset(write):
                what = f"{early.value!r} at {early.offset} was acknowledged before"
                yield Finding(
                    "realtime-inversion", f"{place}: {what} {write.value!r} at {write.offset} began"
                )


def _acked_at(write: Write) -> int:
    assert write.acked_at is not None
    return write.acked_at


def _offset(write: Write) -> int:
    assert write.offset is not None
    return write.offset


def end_offsets(history: History) -> Iterator[Finding]:
    """A log end offset is above all that was acknowledged, and all that was told, before."""
    known: dict[Place, list[tuple[int, int]]] = defaultdict(list)  # time, end offset
    for write in history.writes.values():
        if write.offset is not None and write.acked_at is not None and write.place is not None:
            known[write.place].append((write.acked_at, write.offset + 1))
    for place, ends in history.ends.items():
        facts = sorted(known[place] + [(end.at, end.what) for end in ends])
        upto = least = 0
        for end in sorted(ends, key=lambda end: end.asked):
            while upto < len(facts) and facts[upto][0] < end.asked:
                least = max(least, facts[upto][1])
                upto += 1
            if end.what < least:
                yield Finding("end-offset-regress", f"{place}: {end.what}, after {least}")
