"""Produce in transactions: verified, added by itself, fenced, and in sequence."""
from __future__ import annotations

from fastbroker.protocol.messages.produce import ProduceRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Steps, scenario
from tests.recordings.scenarios.prepare import NO_TOPIC
from tests.recordings.scenarios.produce import everything, produce
from tests.recordings.scenarios.transactions import (
    Producer,
    add,
    data,
    end,
    init_again,
    producer,
    put,
    settled,
    state,
    topic,
)

ADDS_ITSELF = 12  # from this version on a produce adds its partition to the transaction


def began(s: Scene, topic_: tuple[str, bytes], who: Producer, *partitions: int) -> Steps:
    """Add the partitions, where the version of Produce does not do it."""
    if s.version < ADDS_ITSELF:
        yield add(s, None, who, *((topic_[0], p) for p in partitions or (0,)), at=3)


def ended(s: Scene, label: str | None, who: Producer, *, commit: bool) -> Steps:
    """End it as clients of the version do; the producer then."""
    late = s.version >= ADDS_ITSELF
    answer = yield end(s, label, who, commit=commit, at=5 if late else 4)
    yield settled(s, None, who)
    return who._replace(epoch=answer.producer_epoch) if late else who


@scenario(ProduceRequest, versions=(3, 7, 9, 11, 12, 13))
def in_a_transaction(s: Scene) -> Steps:
    t = yield from topic(s, partitions=3)
    who = yield from producer(s)
    yield put(s, "before it is added", t, who, 0, b"a")
    yield state(s, "the transaction", who)
    yield from began(s, t, who, 0)
    yield put(s, "sequence 0", t, who, 0, b"a")
    yield put(s, "sequence 0 again", t, who, 0, b"a")
    yield put(s, "sequence 1", t, who, 1, b"b", b"c")
    yield put(s, "a gap", t, who, 9, b"d")
    yield put(s, "a partition that is not added", t, who, 0, b"e", partition=1)
    yield put(s, "not from 0 in a new partition", t, who, 5, b"e", partition=2)
    yield put(s, "acks 1", t, who, 3, b"f", acks=1)
    yield put(s, "acks 0", t, who, 4, b"g", acks=0)
    yield put(s, "not transactional", t, who, 5, b"h", attributes=0)
    yield put(s, "not transactional, nor the request", t, who, 5, b"h", attributes=0,
              transactional_id=None)  # fmt: skip
    yield put(s, "transactional, but not the request", t, who, 5, b"h", transactional_id=None)
    yield state(s, "the transaction is larger", who)
    yield everything(s, t[0])
    who = yield from ended(s, "commit", who, commit=True)
    yield state(s, "it is committed", who)
    yield everything(s, t[0])
    yield everything(s, t[0], 1)._replace(label="what partition 1 holds")
    yield everything(s, t[0], 2)._replace(label="what partition 2 holds")


@scenario(ProduceRequest, versions=(7, 9, 11, 12, 13))
def strangers(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield from producer(s)
    yield from began(s, t, who)
    yield put(s, "a newer epoch", t, who.newer(), 0)
    yield put(s, "a negative epoch", t, who.older(), 0)
    other = yield from producer(s, "other")
    yield put(s, "another's producer id", t, who._replace(producer_id=other.producer_id), 0)
    yield put(s, "an unknown transactional id", t, who._replace(id=s.name("nobody")), 0)
    yield put(s, "an empty transactional id", t, who._replace(id=""), 0)
    yield put(s, "no producer id", t, Producer(who.id, -1, -1), -1)
    yield produce(s, "neither transactional nor idempotent", t, batch(), transactional_id=who.id)
    yield put(s, "another id's, and not transactional", t, other, 0, attributes=0,
              transactional_id=who.id)  # fmt: skip
    yield put(s, "an unknown topic", (s.name("unknown"), NO_TOPIC), who, 0)
    yield put(s, "an unknown partition", t, who, 0, partition=7)
    yield put(s, "a control batch", t, who, 0, attributes=0x30)
    yield put(s, "one that is right", t, who, 0, b"right")
    yield put(s, "a newer epoch now", t, who.newer(), 0)
    yield put(s, "an older epoch now", t, who.older(), 0)
    yield everything(s, t[0])


@scenario(ProduceRequest, versions=(7, 9, 11, 12, 13))
def many_partitions(s: Scene) -> Steps:
    """Some may be written to, and some not; none of the request's batches hinders another."""
    t = yield from topic(s, partitions=4)
    who = yield from producer(s)
    yield from began(s, t, who, 0, 1)
    yield produce(s, "two added, one not", t, *(data(who, 0, b"%d" % n) for n in range(3)),
                  transactional_id=who.id)  # fmt: skip
    yield produce(s, "a known and an unknown partition", t, data(who, 0), data(who, 0),
                  partition=3, transactional_id=who.id)  # fmt: skip
    yield produce(s, "one of another epoch", t, data(who, 1), data(who.newer(), 0),
                  transactional_id=who.id)  # fmt: skip
    yield produce(s, "one of another producer", t, data(who, 2),
                  data(who._replace(producer_id=who.producer_id + 900), 0),
                  transactional_id=who.id)  # fmt: skip
    yield produce(s, "one that is not transactional", t, data(who, 3), batch(),
                  transactional_id=who.id)  # fmt: skip
    yield state(s, "the transaction", who)
    for n in range(4):
        yield everything(s, t[0], n)._replace(label=f"what partition {n} holds")


@scenario(ProduceRequest, versions=(7, 9, 11, 12, 13))
def zombies(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    who = yield from producer(s)
    yield from began(s, t, who)
    yield put(s, "before", t, who, 0, b"lost")
    answer = yield init_again(s, None, who.id, at=4)
    fresh = who._replace(epoch=answer.producer_epoch)
    yield everything(s, t[0])
    yield put(s, "the next batch of the fenced one", t, who, 1, b"zombie")
    yield put(s, "its last batch again", t, who, 0, b"lost")
    yield put(s, "to another partition", t, who, 0, b"zombie", partition=1)
    yield put(s, "with the epoch that fenced it", t, who.newer(), 0, b"zombie")
    yield put(s, "not transactional", t, who, 1, b"zombie", attributes=0, transactional_id=None)
    yield from began(s, t, fresh)
    yield put(s, "the new one, not from 0", t, fresh, 3, b"new")
    yield put(s, "the new one", t, fresh, 0, b"new")
    yield put(s, "the fenced one again", t, who, 1, b"zombie")
    yield from ended(s, "the new one commits", fresh, commit=True)
    yield everything(s, t[0])._replace(label="what it holds at last")


@scenario(ProduceRequest, versions=(7, 9, 11, 12, 13))
def sequences_go_on(s: Scene) -> Steps:
    """Over the ends of transactions: of old in one epoch, of late each in its own."""
    t = yield from topic(s)
    who = yield from producer(s)
    yield from began(s, t, who)
    yield put(s, "sequence 0", t, who, 0, b"a")
    before = who
    who = yield from ended(s, "commit", who, commit=True)
    yield put(s, "a late retry", t, before, 0, b"a")
    yield put(s, "a late batch", t, before, 1, b"b")
    yield from began(s, t, who)
    yield put(s, "not the next one", t, who, 4, b"b")
    yield put(s, "sequence 0 in the second", t, who, 0, b"b")
    yield put(s, "sequence 1 in the second", t, who, 1, b"b")
    before = who
    who = yield from ended(s, "abort", who, commit=False)
    yield put(s, "a late batch of the second", t, before, 2, b"c")
    yield from began(s, t, who)
    yield put(s, "sequence 2 in the third", t, who, 2, b"c")
    yield put(s, "sequence 0 in the third", t, who, 0, b"c")
    yield put(s, "not transactional after that", t, who, 3, b"d", attributes=0,
              transactional_id=None)  # fmt: skip
    yield everything(s, t[0])
