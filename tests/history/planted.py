"""One fault of each kind, planted into a right history.

A plant takes the events (its own copy) and chance, changes them, and returns whether this history
had a place for it. PLANTS maps the kind that must be found, and no other, to the plants.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.history.correct import GROUP, PARTITIONS, TOPIC
from tests.history.events import Event, Outcome, Write, history_of

Plant = Callable[[list[Event], random.Random], bool]
Place = tuple[str, int]


def _polls(events: list[Event], partition: int | None = None) -> list[Event]:
    return [
        e for e in events
        if e["event"] == "poll" and (partition is None or e["partition"] == partition)
    ]  # fmt: skip


def _read(events: list[Event]) -> dict[int, dict[int, list[Any]]]:
    """By partition and offset, the record that readers saw."""
    out: dict[int, dict[int, list[Any]]] = {p: {} for p in range(PARTITIONS)}
    for poll in _polls(events):
        out[poll["partition"]].update((record[0], record) for record in poll["records"])
    return out


def _hide(events: list[Event], values: set[str]) -> None:
    """Nobody has read `values`."""
    for poll in _polls(events):
        poll["records"] = [r for r in poll["records"] if r[2] not in values]
    events[:] = [e for e in events if e["event"] != "poll" or e["records"]]


def _show(events: list[Event], partition: int, record: list[Any]) -> bool:
    """Everybody who read past the record's offset has read it; whether anybody did."""
    offset, shown = record[0], False
    before: set[str] = set()  # readers that read something below it, in this run
    done: set[str] = set()
    for event in events:
        process = event["process"]
        if event["event"] == "seek":
            before.discard(process)
            done.discard(process)
        if event["event"] != "poll" or event["partition"] != partition or process in done:
            continue
        records = event["records"]
        at = next((n for n, r in enumerate(records) if r[0] > offset), None)
        if at is not None:
            if at > 0 or process in before:
                records.insert(at, record)
                shown = True
            done.add(process)
        else:
            before.add(process)
    return shown


def _swap(events: list[Event], partition: int, one: int, other: int) -> None:
    """The records at two offsets have changed places for all readers."""
    found = dict(_read(events)[partition])
    turned = {one: other, other: one}
    for poll in _polls(events, partition):
        poll["records"] = [[r[0], *found[turned.get(r[0], r[0])][1:]] for r in poll["records"]]


def _gaps(events: list[Event], partition: int) -> list[int]:
    """Offsets between the first and the last read at which there is nothing to be read."""
    read = _read(events)[partition]
    taken = {
        w.offset for w in history_of(events).writes.values() if w.place == (TOPIC, partition)
    }
    if not read:
        return []
    return [n for n in range(min(read), max(read)) if n not in read and n not in taken]


def _writes(events: list[Event], **where: Any) -> list[Write]:
    """The writes of which all of `where` holds."""
    return [
        w for w in history_of(events).writes.values()
        if all(getattr(w, name) == value for name, value in where.items())
    ]  # fmt: skip


def _ack(events: list[Event], write: Write) -> Event:
    sent = next(e for e in events if e["event"] == "send" and e["value"] == write.value)
    return next(
        e for e in events
        if e["event"] == "sent" and (e["process"], e["id"]) == (sent["process"], sent["id"])
    )  # fmt: skip


def _choose(chance: random.Random, options: list[Any]) -> Any:
    return chance.choice(options) if options else None


def lost_write(events: list[Event], chance: random.Random) -> bool:
    last = {p: max(read, default=-1) for p, read in _read(events).items()}
    found = [
        w for w in _writes(events, txn=None, outcome=Outcome.OK)
        if w.offset is not None and w.partition is not None and w.offset < last[w.partition]
    ]  # fmt: skip
    chosen = _choose(chance, found)
    if chosen is None:
        return False
    _hide(events, {chosen.value})
    return True


def lost_transaction(events: list[Event], chance: random.Random) -> bool:
    history = history_of(events)
    found = [
        t for t in history.transactions.values()
        if t.outcome is Outcome.OK and any(w.offset is not None for w in t.writes)
        # What has no known offset is not known to have been passed.
        and all(w.offset is not None or w.outcome is Outcome.FAIL for w in t.writes)
        and all(w.acked_at is not None or w.outcome is Outcome.FAIL for w in t.writes)
    ]  # fmt: skip
    chosen = _choose(chance, found)
    if chosen is None:
        return False
    _hide(events, {w.value for w in chosen.writes})
    return True


def unseen(events: list[Event], chance: random.Random) -> bool:
    _hide(events, {f"last{chance.randrange(PARTITIONS)}"})
    return True


def torn(events: list[Event], chance: random.Random) -> bool:
    history = history_of(events)
    read = {r[2] for rs in _read(events).values() for r in rs.values()}
    found = [
        w
        for t in history.transactions.values()
        if len([v for v in t.writes if v.value in read]) > 1
        for w in t.writes
        if w.value in read and w.acked_at is not None
    ]
    chosen = _choose(chance, found)
    if chosen is None:
        return False
    _hide(events, {chosen.value})
    return True


def duplicate(events: list[Event], chance: random.Random) -> bool:
    places = [
        (partition, gap, record)
        for partition, read in _read(events).items()
        for gap in _gaps(events, partition)
        for offset, record in read.items()
        if offset < gap
    ]
    if not places:
        return False
    partition, gap, record = chance.choice(places)
    return _show(events, partition, [gap, *record[1:]])


def inconsistent(events: list[Event], chance: random.Random) -> bool:
    read = {r[2] for rs in _read(events).values() for r in rs.values()}
    never = [w for w in _writes(events, txn=None, outcome=Outcome.INFO) if w.value not in read]
    other = _choose(chance, never)
    if other is None:
        return False
    polls = [p for p in _polls(events, other.partition) if p["process"] == "final1"]
    record = chance.choice([r for p in polls for r in p["records"][:-1] or p["records"]])
    if record[2].startswith("last"):
        return False
    for poll in polls:
        poll["records"] = [
            [r[0], None, other.value] if r[0] == record[0] else r for r in poll["records"]
        ]
    return True


def aborted_read(events: list[Event], chance: random.Random) -> bool:
    found = [w for w in _writes(events, outcome=Outcome.FAIL) if w.offset is not None]
    chosen = _choose(chance, found)
    if chosen is None:
        return False
    return _show(events, chosen.partition, [chosen.offset, chosen.key, chosen.value])


def phantom(events: list[Event], chance: random.Random) -> bool:
    partition = chance.randrange(PARTITIONS)
    gap = _choose(chance, _gaps(events, partition))
    return gap is not None and _show(events, partition, [gap, "a", "nobody's"])


def misrouted(events: list[Event], chance: random.Random) -> bool:
    partition = chance.randrange(PARTITIONS)
    gap = _choose(chance, _gaps(events, partition))
    other = chance.choice(list(_read(events)[(partition + 1) % PARTITIONS].values()))
    return gap is not None and _show(events, partition, [gap, *other[1:]])


def changed_key(events: list[Event], chance: random.Random) -> bool:
    partition = chance.randrange(PARTITIONS)
    record = chance.choice(list(_read(events)[partition].values()))
    for poll in _polls(events, partition):
        poll["records"] = [[r[0], "z", r[2]] if r[0] == record[0] else r for r in poll["records"]]
    return True


def precommitted_read(events: list[Event], chance: random.Random) -> bool:
    read = {r[2] for rs in _read(events).values() for r in rs.values()}
    found = [w for w in _writes(events, outcome=Outcome.OK) if w.txn and w.value in read]
    chosen = _choose(chance, found)
    if chosen is None:
        return False
    _poll_inside(events, chosen.txn, chosen)
    return True


def circular(events: list[Event], chance: random.Random) -> bool:
    read = {r[2] for rs in _read(events).values() for r in rs.values()}
    found = [w for w in _writes(events, outcome=Outcome.OK) if w.txn and w.value in read]
    pairs = [(a, b) for a in found for b in found if a.txn != b.txn]
    pair = _choose(chance, pairs)
    if pair is None:
        return False
    one, other = pair
    _poll_inside(events, one.txn, other)
    _poll_inside(events, other.txn, one)
    return True


def _poll_inside(events: list[Event], txn: str, write: Write) -> None:
    """The transaction reads `write`, just before it commits."""
    at = next(n for n, e in enumerate(events) if e["event"] == "commit" and e["txn"] == txn)
    commit = events[at]
    head = {"at": commit["at"], "process": commit["process"]}
    offset = next(
        r[0] for rs in _read(events).values() for r in rs.values() if r[2] == write.value
    )
    poll = {"event": "poll", "topic": TOPIC, "partition": write.partition, "txn": txn}
    record = [offset, write.key, write.value]
    events[at:at] = [{**head, "event": "seek"}, {**head, **poll, "records": [record]}]


def poll_again(events: list[Event], chance: random.Random) -> bool:
    poll = chance.choice(_polls(events))
    at = next(n for n, e in enumerate(events) if e is poll)
    events.insert(at + 1, {**poll, "records": list(poll["records"])})
    return True


def record_again(events: list[Event], chance: random.Random) -> bool:
    poll = chance.choice(_polls(events))
    at = chance.randrange(len(poll["records"]))
    poll["records"].insert(at, poll["records"][at])
    return True


def poll_skipped(events: list[Event], chance: random.Random) -> bool:
    found = []
    runs: dict[tuple[str, int], list[Event]] = {}
    for event in events:
        if event["event"] == "seek":
            runs = {name: polls for name, polls in runs.items() if name[0] != event["process"]}
        if event["event"] == "poll":
            run = runs.setdefault((event["process"], event["partition"]), [])
            run.append(event)
            if len(run) > 2:
                found.append(run[-2])
    chosen = _choose(chance, found)
    if chosen is None:
        return False
    events[:] = [e for e in events if e is not chosen]
    return True


def record_skipped(events: list[Event], chance: random.Random) -> bool:
    chosen = _choose(chance, [p for p in _polls(events) if len(p["records"]) > 2])
    if chosen is None:
        return False
    del chosen["records"][chance.randrange(1, len(chosen["records"]) - 1)]
    return True


def _neighbours(events: list[Event]) -> list[tuple[Write, Write]]:
    """Acknowledged writes that readers see next to each other, of different keys."""
    writes = {w.value: w for w in history_of(events).writes.values()}
    out = []
    for read in _read(events).values():
        for one, other in pairwise(sorted(read)):
            pair = writes[read[one][2]], writes[read[other][2]]
            offsets = [w.offset for w in history_of(events).writes.values()
                       if w.partition == pair[0].partition and w.outcome is not Outcome.FAIL]
            between = [n for n in offsets if n is not None and one < n < other]
            known = all(w.offset is not None and w.acked_at is not None for w in pair)
            if known and not between and (pair[0].key is None or pair[0].key != pair[1].key):
                out.append(pair)
    return out


def _swap_offsets(events: list[Event], one: Write, other: Write) -> None:
    _swap(events, one.partition, one.offset, other.offset)  # type: ignore[arg-type]
    ours, theirs = _ack(events, one), _ack(events, other)
    ours["offset"], theirs["offset"] = theirs["offset"], ours["offset"]
    events[:] = [e for e in events if e["event"] != "end"]  # it would tell of it, too


def _swapped_if(
    events: list[Event], chance: random.Random, wanted: Callable[[Write, Write], bool]
) -> bool:
    pair = _choose(chance, [pair for pair in _neighbours(events) if wanted(*pair)])
    if pair is None:
        return False
    _swap_offsets(events, *pair)
    return True


def sends_swapped(events: list[Event], chance: random.Random) -> bool:
    return _swapped_if(
        events, chance, lambda a, b: a.process == b.process and (a.txn is None or a.txn != b.txn)
    )


def sends_swapped_inside(events: list[Event], chance: random.Random) -> bool:
    return _swapped_if(events, chance, lambda a, b: a.txn is not None and a.txn == b.txn)


def time_turned(events: list[Event], chance: random.Random) -> bool:
    return _swapped_if(
        events, chance,
        lambda a, b: a.process != b.process and a.acked_at is not None and a.acked_at < b.at,
    )  # fmt: skip


def key_order(events: list[Event], chance: random.Random) -> bool:
    """Two of one key have changed places, and no acknowledgement tells."""
    history = history_of(events)
    at = {r[2]: r[0] for rs in _read(events).values() for r in rs.values()}
    last: dict[tuple[str, Any, str], Write] = {}
    pairs = []
    for write in history.writes.values():
        if write.key is None or write.value not in at or write.acked_at is None:
            continue
        before = last.get((write.process, write.place, write.key))
        if before is not None:
            pairs.append((before, write))
        last[write.process, write.place, write.key] = write
    pair = _choose(chance, pairs)
    if pair is None:
        return False
    one, other = pair
    _swap(events, one.partition, at[one.value], at[other.value])
    for write in pair:
        _ack(events, write).pop("offset", None)
    return True


def end_back(events: list[Event], chance: random.Random) -> bool:
    found = []
    for end in (e for e in events if e["event"] == "end"):
        known = [
            w.offset for w in _writes(events, partition=end["partition"])
            if w.offset is not None and w.acked_at is not None and w.acked_at < end["asked"]
        ]  # fmt: skip
        if known:
            found.append((end, max(known)))
    if not found:
        return False
    end, highest = chance.choice(found)
    end["offset"] = chance.randint(0, highest)
    return True


def offset_lost(events: list[Event], chance: random.Random) -> bool:
    commits = history_of(events).commits[GROUP]
    found = []
    for answer in (e for e in events if e["event"] == "fetched"):
        for name in answer["offsets"]:
            done = sorted(
                (c.acked_at, c.offsets[name]) for c in commits
                if name in c.offsets and c.outcome is Outcome.OK and c.acked_at is not None
                and c.acked_at < answer["asked"]
            )  # fmt: skip
            unknown = {c.offsets[name] for c in commits if name in c.offsets
                       and c.outcome is Outcome.INFO}
            old = [offset for _, offset in done[:-1]] + [-1] * bool(done)
            found += [(answer, name, offset) for offset in old if offset not in unknown]
    if not found:
        return False
    answer, name, offset = chance.choice(found)
    answer["offsets"][name] = offset
    return True


PLANTS: list[tuple[str, Plant]] = [
    ("lost-write", lost_write),
    ("lost-write", lost_transaction),
    ("unseen", unseen),
    ("torn-transaction", torn),
    ("duplicate", duplicate),
    ("inconsistent-offsets", inconsistent),
    ("aborted-read", aborted_read),
    ("phantom", phantom),
    ("misrouted", misrouted),
    ("misrouted", changed_key),
    ("precommitted-read", precommitted_read),
    ("circular-reads", circular),
    ("nonmonotonic-poll", poll_again),
    ("int-nonmonotonic-poll", record_again),
    ("poll-skip", poll_skipped),
    ("int-poll-skip", record_skipped),
    ("nonmonotonic-send", sends_swapped),
    ("int-nonmonotonic-send", sends_swapped_inside),
    ("realtime-inversion", time_turned),
    ("key-order", key_order),
    ("end-offset-regress", end_back),
    ("group-offset-lost", offset_lost),
]
