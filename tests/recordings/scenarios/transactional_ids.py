"""InitProducerId with transactional ids: epochs, fencing, timeouts."""
from __future__ import annotations

from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.recordings.scenario import Scene, Steps, has, scenario
from tests.recordings.scenarios.transactions import (
    Producer,
    add,
    end,
    init,
    init_again,
    producer,
    settled,
    state,
    topic,
    transaction_coordinator,
)  # fmt: skip

EVERY = (0, 1, 2, 3, 4, 5)
TEN_TIMES_MORE = 9_000_000


@scenario(InitProducerIdRequest, versions=EVERY)
def transactional(s: Scene) -> Steps:
    id_ = s.name("id")
    yield from transaction_coordinator(s, id_)
    first = yield init(s, "a new one", id_)
    yield settled(s, "its state", Producer(id_, 0, 0))
    second = yield init(s, "again", id_)
    third = yield init(s, "a third time, with another timeout", id_, transaction_timeout_ms=9_000)
    yield settled(s, "the timeout is the new one", Producer(id_, 0, 0))
    if not has(InitProducerIdRequest, "producer_id", s.version):
        return
    known = {"producer_id": first.producer_id}
    fourth = yield init(s, "with id and epoch", id_, **known, producer_epoch=third.producer_epoch)
    yield init(s, "with them again", id_, **known, producer_epoch=third.producer_epoch)
    yield init(s, "with the epoch from then", id_, **known, producer_epoch=fourth.producer_epoch)
    yield init(s, "with an old epoch", id_, **known, producer_epoch=second.producer_epoch)
    yield init(s, "with an epoch to come", id_, **known, producer_epoch=900)
    yield init(s, "with another id", id_, producer_id=first.producer_id + 900, producer_epoch=0)
    yield init(s, "with an id, without epoch", id_, **known)
    yield init(s, "with an epoch, without id", id_, producer_epoch=1)
    yield init(s, "with epoch 32767", id_, **known, producer_epoch=32767)
    yield init(s, "and without them", id_)
    fresh = s.name("fresh")
    yield from transaction_coordinator(s, fresh)
    yield init(s, "a new one with an id", fresh, producer_id=first.producer_id + 901,
               producer_epoch=4)  # fmt: skip
    yield init(s, "the new one again", fresh)


@scenario(InitProducerIdRequest, versions=EVERY)
def timeouts(s: Scene) -> Steps:
    id_ = s.name("id")
    yield from transaction_coordinator(s, id_)
    for timeout in (900_001, TEN_TIMES_MORE, 0, -1, -900, 2**31 - 1):
        yield init(s, f"{timeout} ms", id_, transaction_timeout_ms=timeout)
    yield state(s, "nothing is known", Producer(id_, 0, 0))
    yield init(s, "1 ms", id_, transaction_timeout_ms=1)
    yield init(s, "900000 ms", id_, transaction_timeout_ms=900_000)
    yield init(s, "too large for what is known", id_, transaction_timeout_ms=900_001)


@scenario(InitProducerIdRequest, versions=EVERY)
def while_ongoing(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield from producer(s)
    yield add(s, None, who, (t[0], 0), at=3)
    yield init(s, "its transaction is open", who.id)
    answer = yield init_again(s, "when that is aborted", who.id)
    yield settled(s, "its state", who)
    yield add(s, "the fenced one adds, of old", who, (t[0], 0), at=0)
    yield add(s, "the fenced one adds", who, (t[0], 0), at=3)
    yield end(s, "the fenced one ends, of old", who, commit=True, at=0)
    yield end(s, "the fenced one ends", who, commit=True, at=4)
    yield end(s, "the fenced one ends, of late", who, commit=True, at=5)
    if has(InitProducerIdRequest, "producer_id", s.version):
        yield init(s, "the fenced one asks for an epoch", who.id, producer_id=who.producer_id,
                   producer_epoch=who.epoch)  # fmt: skip
        now = Producer(who.id, answer.producer_id, answer.producer_epoch)
        yield add(s, None, now, (t[0], 0), at=3)
        known = {"producer_id": now.producer_id, "producer_epoch": now.epoch}
        yield init(s, "an open one, with id and epoch", who.id, **known)
        yield init_again(s, "with them when that is aborted", who.id, **known)
        yield settled(s, "its state then", who)


@scenario(InitProducerIdRequest, versions=(1, 3, 4, 5))
def after_an_end(s: Scene) -> Steps:
    t = yield from topic(s)
    for word, version in (("of old", 3), ("of late", 5)):
        for commit in (True, False):
            who = yield from producer(s, f"id {word} {commit}".replace(" ", "-"))
            result = f"{'a commit' if commit else 'an abort'} {word}"
            yield add(s, None, who, (t[0], 0), at=3)
            yield end(s, result, who, commit=commit, at=version)
            yield settled(s, f"the state after {result}", who)
            yield init(s, f"again after {result}", who.id)
            yield settled(s, f"the state then after {result}", who)
            if has(InitProducerIdRequest, "producer_id", s.version):
                yield init(s, f"with the old epoch after {result}", who.id,
                           producer_id=who.producer_id, producer_epoch=who.epoch)  # fmt: skip
