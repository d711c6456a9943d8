"""AddPartitionsToTxn, AddOffsetsToTxn: what belongs to a transaction, and who may say so."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import coordinator
from tests.recordings.scenarios.transactions import (
    Producer,
    add,
    end,
    init_again,
    producer,
    settled,
    state,
    topic,
)

BATCHED = (4, 5)


def offsets_of(s: Scene, label: str | None, who: Producer, group: str, **more: Any) -> Step:
    return s.ask(label, AddOffsetsToTxnRequest, transactional_id=who.id, group_id=group,
                 producer_id=who.producer_id, producer_epoch=who.epoch, **more)  # fmt: skip


@scenario(AddPartitionsToTxnRequest, versions=(0, 1, 2, 3, 4, 5))
def adds(s: Scene) -> Steps:
    t = yield from topic(s, partitions=3)
    u = yield from topic(s, "u")
    who = yield from producer(s)
    yield from coordinator(s, s.name("g"))  # so that the internal topic is there
    yield add(s, "one", who, (t[0], 0))
    yield state(s, "its state", who)
    yield add(s, "the same again", who, (t[0], 0))
    yield add(s, "two topics", who, (t[0], 1), (t[0], 2), (u[0], 0))
    yield add(s, "a partition twice", who, (t[0], 1), (t[0], 1))
    yield add(s, "none", who)
    yield add(s, "an unknown topic", who, (s.name("unknown"), 0))
    yield add(s, "an unknown partition", who, (t[0], 9))
    yield add(s, "a negative partition", who, (t[0], -1))
    yield add(s, "one known of two", who, (t[0], 0), (s.name("unknown"), 0))
    yield add(s, "an internal topic", who, ("__consumer_offsets", 0))
    yield add(s, "an older epoch", who.older(), (t[0], 0))
    yield add(s, "a newer epoch", who.newer(), (t[0], 0))
    yield add(s, "another producer id", who._replace(producer_id=who.producer_id + 900), (t[0], 0))
    yield add(s, "an unknown transactional id", who._replace(id=s.name("nobody")), (t[0], 0))
    yield add(s, "an empty transactional id", who._replace(id=""), (t[0], 0))
    yield state(s, "its state at last", who)
    yield end(s, None, who, commit=True, at=3)
    yield settled(s, "it is committed", who)
    yield add(s, "the next transaction", who, (u[0], 0))
    yield state(s, "the next one's state", who)


@scenario(AddPartitionsToTxnRequest, versions=BATCHED)
def verifies(s: Scene) -> Steps:
    t = yield from topic(s, partitions=3)
    who = yield from producer(s)
    ask = {"verify_only": True}
    yield add(s, "before anything", who, (t[0], 0), **ask)
    yield add(s, None, who, (t[0], 0), (t[0], 1), at=3)
    yield add(s, "what is in it", who, (t[0], 0), **ask)
    yield add(s, "what is not", who, (t[0], 2), **ask)
    yield add(s, "one of each", who, (t[0], 1), (t[0], 2), **ask)
    yield add(s, "an unknown topic", who, (s.name("unknown"), 0), **ask)
    yield add(s, "nothing", who, **ask)
    yield add(s, "an older epoch", who.older(), (t[0], 0), **ask)
    yield add(s, "a newer epoch", who.newer(), (t[0], 0), **ask)
    yield add(s, "another producer id", who._replace(producer_id=who.producer_id + 900),
              (t[0], 0), **ask)  # fmt: skip
    yield add(s, "an unknown transactional id", who._replace(id=s.name("nobody")), (t[0], 0),
              **ask)  # fmt: skip
    yield state(s, "its state is as it was", who)
    yield end(s, None, who, commit=True, at=3)
    yield settled(s, "it is committed", who)
    yield add(s, "after the commit", who, (t[0], 0), **ask)
    yield end(s, None, who, commit=False, at=3)
    yield add(s, "of a later epoch after the commit", who.newer(), (t[0], 0), **ask)


@scenario(AddPartitionsToTxnRequest, versions=BATCHED)
def many(s: Scene) -> Steps:
    t = yield from topic(s, partitions=3)
    one = yield from producer(s, "one")
    two = yield from producer(s, "two")

    def part(who: Producer, *partitions: int, topic_: str = t[0], verify: bool = False) -> Any:
        return {
            "transactional_id": who.id,
            "producer_id": who.producer_id,
            "producer_epoch": who.epoch,
            "verify_only": verify,
            "topics": [{"name": topic_, "partitions": list(partitions)}],
        }

    def ask(label: str, *parts: Any) -> Step:
        return s.ask(label, AddPartitionsToTxnRequest, transactions=list(parts))

    yield ask("two producers", part(one, 0), part(two, 1))
    yield ask("one is of old", part(one.older(), 0), part(two, 2))
    yield ask("one verifies", part(one, 1, verify=True), part(two, 0))
    yield ask("one names an unknown topic", part(one, 0, topic_=s.name("unknown")), part(two, 0))
    yield ask("one is unknown", part(one._replace(id=s.name("nobody")), 0), part(two, 0))
    yield state(s, "the first's state", one)
    yield state(s, "the second's state", two)


@scenario(AddPartitionsToTxnRequest, versions=(3, 4))
def a_topic_is_deleted(s: Scene) -> Steps:
    from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest

    t = yield from topic(s)
    u = yield from topic(s, "u")
    who = yield from producer(s)
    yield add(s, "both", who, (t[0], 0), (u[0], 0))
    yield s.ask(None, DeleteTopicsRequest, at=5, topic_names=[t[0]], timeout_ms=5000)
    yield end(s, "commit", who, commit=True, at=4)
    yield settled(s, "it is committed nevertheless", who)


@scenario(AddOffsetsToTxnRequest, versions=(0, 1, 2, 3, 4))
def adds_offsets(s: Scene) -> Steps:
    group = s.name("g")
    who = yield from producer(s)
    yield offsets_of(s, "a group", who, group)
    yield state(s, "its state", who)
    yield offsets_of(s, "the same again", who, group)
    yield offsets_of(s, "an empty group id", who, "")
    yield offsets_of(s, "an older epoch", who.older(), group)
    yield offsets_of(s, "a newer epoch", who.newer(), group)
    yield offsets_of(s, "another producer id", who._replace(producer_id=who.producer_id + 900),
                     group)  # fmt: skip
    yield offsets_of(s, "an unknown transactional id", who._replace(id=s.name("nobody")), group)
    yield offsets_of(s, "an empty transactional id", who._replace(id=""), group)
    yield end(s, "commit", who, commit=True, at=3)
    yield settled(s, "it is committed", who)
    yield offsets_of(s, "the next transaction", who, group)
    answer = yield init_again(s, None, who.id, at=4)
    fresh = Producer(who.id, answer.producer_id, answer.producer_epoch)
    yield offsets_of(s, "a fenced one", who, group)
    yield offsets_of(s, "the new one", fresh, group)
