"""EndTxn: commits, aborts, retries, and the epochs that they give."""
from __future__ import annotations

from fastbroker.protocol.messages.end_txn import EndTxnRequest
from tests.recordings.scenario import Scene, Steps, scenario
from tests.recordings.scenarios.fetch import fetch
from tests.recordings.scenarios.transactions import (
    CONCURRENT_TRANSACTIONS,
    Producer,
    add,
    end,
    init_again,
    producer,
    put,
    settled,
    state,
    topic,
)

EVERY = (0, 1, 2, 3, 4, 5)


def ended(s: Scene, label: str, who: Producer, *, commit: bool) -> Steps:
    """End it, again while its markers are still written; who the producer is then."""
    answer = yield end(s, label, who, commit=commit)._replace(
        until=lambda a: a.error_code != CONCURRENT_TRANSACTIONS
    )
    yield settled(s, f"its state after: {label}", who)
    if s.version < 5 or answer.error_code:
        return who
    return who._replace(producer_id=answer.producer_id, epoch=answer.producer_epoch)


@scenario(EndTxnRequest, versions=EVERY)
def ends(s: Scene) -> Steps:
    t = yield from topic(s)
    for word, commit in (("commit", True), ("abort", False)):
        who = yield from producer(s, word)
        yield add(s, None, who, (t[0], 0), at=3)
        now = yield from ended(s, word, who, commit=commit)
        yield from ended(s, f"{word} again", who, commit=commit)
        yield from ended(s, f"the other result after {word}", who, commit=not commit)
        if s.version >= 5:
            yield from ended(s, f"{word}, an empty transaction", now, commit=commit)
        yield add(s, None, now, (t[0], 0), at=3)
        yield state(s, f"the next one after {word}", now)


@scenario(EndTxnRequest, versions=EVERY)
def empty_ends(s: Scene) -> Steps:
    """Nothing was ever added."""
    for word, commit in (("commit", True), ("abort", False)):
        who = yield from producer(s, word)
        now = yield from ended(s, f"{word} of nothing", who, commit=commit)
        yield from ended(s, f"{word} of nothing again", who, commit=commit)
        yield from ended(s, f"{word} of nothing, the next", now, commit=commit)


@scenario(EndTxnRequest, versions=EVERY)
def refused_ends(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield from producer(s)
    yield add(s, None, who, (t[0], 0), at=3)
    yield end(s, "an older epoch", who.older(), commit=True)
    yield end(s, "a newer epoch", who.newer(), commit=True)
    yield end(s, "another producer id", who._replace(producer_id=who.producer_id + 900),
              commit=True)  # fmt: skip
    yield end(s, "an unknown transactional id", who._replace(id=s.name("nobody")), commit=True)
    yield end(s, "an empty transactional id", who._replace(id=""), commit=True)
    yield state(s, "it is open still", who)
    answer = yield init_again(s, None, who.id, at=4)
    yield end(s, "a fenced one", who, commit=True)
    yield end(s, "a fenced one aborts", who, commit=False)
    fresh = Producer(who.id, answer.producer_id, answer.producer_epoch)
    yield state(s, "what is", fresh)


@scenario(EndTxnRequest, versions=(5,))
def epochs_of_late(s: Scene) -> Steps:
    """Transactions of version 2: each end gives the next epoch, a retry gives the same one."""
    t = yield from topic(s)
    first = yield from producer(s)
    who = first
    for n in range(3):
        yield put(s, f"write {n}", t, who, 0, b"%d" % n, at=12)
        after = yield from ended(s, f"end {n}", who, commit=n != 1)
        yield from ended(s, f"end {n} again", who, commit=n != 1)
        yield from ended(s, f"end {n}, the other way", who, commit=n == 1)
        who = after
    yield from ended(s, "an end of the first epoch", first, commit=True)
    yield put(s, "write with the first epoch", t, first, 1, b"x", at=12)
    yield put(s, "write with the last epoch but one", t, who.older(), 1, b"x", at=12)
    yield from ended(s, "abort of nothing", who, commit=False)
    yield from ended(s, "abort of nothing again", who, commit=False)
    yield from ended(s, "commit of nothing", who.newer(), commit=True)
    s.version = 12
    yield fetch(s, "what is there", t, 0, isolation_level=1)


@scenario(EndTxnRequest, versions=(4, 5))
def of_both_kinds(s: Scene) -> Steps:
    """A client of old and one of late take turns with one transactional id."""
    t = yield from topic(s)
    who = yield from producer(s)
    yield add(s, None, who, (t[0], 0), at=3)
    yield put(s, "of old", t, who, 0, b"old", at=11)
    who = yield from ended(s, "the first end", who, commit=True)
    yield put(s, "of late", t, who, 0 if s.version >= 5 else 1, b"late", at=12)
    who = yield from ended(s, "the second end", who, commit=True)
    answer = yield init_again(s, None, who.id, at=4)
    who = who._replace(producer_id=answer.producer_id, epoch=answer.producer_epoch)
    yield put(s, "of late, a new epoch", t, who, 0, b"new", at=12)
    yield end(s, "ended as of old", who, commit=False, at=4)
    yield settled(s, "its state then", who)
    yield put(s, "of late again", t, who, 1, b"again", at=12)
    yield end(s, "ended as of late", who, commit=True, at=5)
    yield settled(s, "its state at last", who)
    s.version = 12
    yield fetch(s, "what is there", t, 0, isolation_level=1)
