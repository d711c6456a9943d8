"""DescribeTransactions, ListTransactions, DescribeProducers, WriteTxnMarkers: what admins ask."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.describe_producers import DescribeProducersRequest
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.list_transactions import ListTransactionsRequest
from fastbroker.protocol.messages.write_txn_markers import WriteTxnMarkersRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import coordinator, records
from tests.recordings.scenarios.produce import everything
from tests.recordings.scenarios.transaction_members import offsets_of
from tests.recordings.scenarios.transactional_offsets import commit_in, stable
from tests.recordings.scenarios.transactional_reads import finish, write
from tests.recordings.scenarios.transactions import (
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


@scenario(DescribeTransactionsRequest, versions=(0,))
def described(s: Scene) -> Steps:
    def look(label: str, *ids: str) -> Step:
        return s.ask(label, DescribeTransactionsRequest, transactional_ids=list(ids))

    t = yield from topic(s, partitions=3)
    u = yield from topic(s, "u")
    empty = yield from producer(s, "empty", transaction_timeout_ms=12_345)
    ongoing = yield from producer(s, "ongoing")
    committed = yield from producer(s, "committed")
    aborted = yield from producer(s, "aborted")
    yield add(s, None, ongoing, (t[0], 2), (t[0], 0), (u[0], 0), at=3)
    yield offsets_of(s, None, ongoing, s.name("g"), at=3)
    for who, commit in ((committed, True), (aborted, False)):
        yield add(s, None, who, (t[0], 0), at=3)
        yield end(s, None, who, commit=commit, at=3)
        yield settled(s, None, who)
    yield look("an empty one", empty.id)
    yield look("one that goes on", ongoing.id)
    yield look("one that is committed", committed.id)
    yield look("one that is aborted", aborted.id)
    yield look("two", empty.id, ongoing.id)
    yield look("one twice", empty.id, empty.id)
    yield look("an unknown one", s.name("nobody"))
    yield look("an empty id", "")
    yield look("one known of two", empty.id, s.name("nobody"))
    yield look("none")


@scenario(ListTransactionsRequest, versions=(0, 1, 2))
def listed(s: Scene) -> Steps:
    def look(label: str, **filters: Any) -> Step:
        return s.ask(label, ListTransactionsRequest, only=s.prefix, **filters)

    t = yield from topic(s)
    empty = yield from producer(s, "empty")
    ongoing = yield from producer(s, "ongoing")
    committed = yield from producer(s, "committed")
    yield add(s, None, ongoing, (t[0], 0), at=3)
    yield add(s, None, committed, (t[0], 0), at=3)
    yield end(s, None, committed, commit=True, at=3)
    yield settled(s, None, committed)
    yield look("all")
    for states in (["Ongoing"], ["Empty", "Ongoing"], ["CompleteCommit"], ["ongoing"], ["Dead"],
                   ["PrepareCommit"], ["Nonsense"], ["Nonsense", "Empty"], [""]):  # fmt: skip
        yield look(f"in states {states}", state_filters=states)
    yield look("of a producer id", producer_id_filters=[empty.producer_id])
    yield look("of two, one unknown", producer_id_filters=[ongoing.producer_id, 987_654_321])
    yield look("of an unknown producer id", producer_id_filters=[987_654_321])
    yield look("of both filters", producer_id_filters=[empty.producer_id],
               state_filters=["Ongoing"])  # fmt: skip
    if s.version >= 1:
        yield look("that go on for -1 ms", duration_filter=-1)
        yield look("that go on for 0 ms", duration_filter=0)
        yield look("that go on for an hour", duration_filter=3_600_000)
        yield look("that go on for -5 ms", duration_filter=-5)
    if s.version >= 2:
        for label, pattern in (
            ("everything", ".*"), ("a part", "ongoing"), ("the end", ".*ongoing"),
            ("the whole", f"{s.prefix}-(empty|ongoing)"), ("an empty one", ""), ("nothing", "x^"),
            ("no pattern", "(["), ("null", None),
        ):  # fmt: skip
            yield look(f"of a pattern: {label}", transactional_id_pattern=pattern)
        yield look("of a pattern and a state", transactional_id_pattern=".*(empty|ongoing)",
                   state_filters=["Empty"])  # fmt: skip


def producers(s: Scene, label: str, name: str, *partitions: int, **more: Any) -> Step:
    topics = [{"name": name, "partition_indexes": list(partitions)}]
    return s.ask(label, DescribeProducersRequest, at=0, topics=topics, **more)


@scenario(DescribeProducersRequest, versions=(0,))
def active_producers(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    yield producers(s, "none", t[0], 0)
    who = yield from producer(s)
    yield add(s, None, who, (t[0], 0), at=3)
    yield producers(s, "it is added", t[0], 0)
    yield put(s, None, t, who, 0, b"a", b"b", at=9)
    yield producers(s, "it has written", t[0], 0)
    yield end(s, None, who, commit=True, at=3)
    yield settled(s, None, who)
    yield producers(s, "it has committed", t[0], 0)
    yield add(s, None, who, (t[0], 0), at=3)
    yield put(s, None, t, who, 2, b"c", at=9)
    yield producers(s, "it goes on", t[0], 0)
    answer = yield init_again(s, None, who.id, at=4)
    yield producers(s, "it is fenced", t[0], 0)
    fresh = Producer(who.id, answer.producer_id, answer.producer_epoch)
    yield write(s, t, fresh, 0, b"d")
    yield producers(s, "it writes with a new epoch", t[0], 0)
    yield from finish(s, fresh, commit=False)
    yield producers(s, "that is aborted, as of late", t[0], 0)
    other = yield s.ask(None, InitProducerIdRequest, at=1, transactional_id=None)
    idempotent = batch(producer_id=other.producer_id, producer_epoch=0, base_sequence=5)
    yield from records(s, t[0], idempotent)
    yield producers(s, "two of them", t[0], 0)
    yield producers(s, "two partitions", t[0], 0, 1)
    yield producers(s, "an unknown partition", t[0], 0, 9)
    yield producers(s, "a negative partition", t[0], -1)
    yield producers(s, "an unknown topic", s.name("unknown"), 0)
    yield producers(s, "an empty topic", "", 0)
    yield producers(s, "no partition", t[0])
    yield s.ask("no topic", DescribeProducersRequest, topics=[])


def marker(
    s: Scene, label: str | None, who: Producer, *topics: tuple[str, list[int]],
    commit: bool = True, coordinator_epoch: int = 0, transaction_version: int = 0, **more: Any,
) -> Step:  # fmt: skip
    one = {
        "producer_id": who.producer_id,
        "producer_epoch": who.epoch,
        "transaction_result": commit,
        "topics": [{"name": n, "partition_indexes": p} for n, p in topics],
        "coordinator_epoch": coordinator_epoch,
        "transaction_version": transaction_version,
    }
    return s.ask(label, WriteTxnMarkersRequest, markers=[one], **more)


@scenario(WriteTxnMarkersRequest, versions=(1, 2))
def markers(s: Scene) -> Steps:
    """By a client, as the tool for hanging transactions does."""
    t = yield from topic(s, partitions=2)
    here = (t[0], [0])
    who = yield from producer(s)
    yield marker(s, "a producer that is not there", who, here)
    yield producers(s, "it is there now", t[0], 0)
    yield add(s, None, who, (t[0], 0), (t[0], 1), at=3)
    yield put(s, None, t, who, 0, b"a", at=9)
    yield put(s, None, t, who, 0, b"a", at=9, partition=1)
    yield marker(s, "an older epoch", who.older(), here)
    yield marker(s, "an older coordinator", who, here, coordinator_epoch=-1)
    yield producers(s, "it is open still", t[0], 0)
    yield marker(s, "an unknown topic", who, (s.name("unknown"), [0]))
    yield marker(s, "an unknown partition", who, (t[0], [9]))
    yield marker(s, "abort", who, here, commit=False)
    yield producers(s, "it is aborted", t[0], 0)
    yield marker(s, "abort again", who, here, commit=False)
    yield marker(s, "commit", who, here)
    yield marker(s, "a newer epoch", who.newer(), here)
    yield producers(s, "it has the newer epoch", t[0], 0)
    yield put(s, "it is fenced", t, who, 1, b"b", at=9)
    yield put(s, "with the newer epoch", t, who.newer(), 0, b"b", at=9)
    yield marker(s, "a newer coordinator", who.newer(), here, coordinator_epoch=3)
    yield marker(s, "an older coordinator then", who.newer(), here, coordinator_epoch=2)
    yield marker(s, "two partitions", who.newer(2), (t[0], [0, 1]), coordinator_epoch=3)
    yield marker(s, "no topic", who)
    yield marker(s, "no partition", who, (t[0], []))
    yield s.ask("no marker", WriteTxnMarkersRequest, markers=[], patience_s=2.0)
    yield state(s, "the coordinator knows nothing of it", who)
    yield everything(s, t[0])
    yield everything(s, t[0], 1)._replace(label="what partition 1 holds")


@scenario(WriteTxnMarkersRequest, versions=(2,))
def markers_of_late(s: Scene) -> Steps:
    t = yield from topic(s)
    here = (t[0], [0])
    who = yield from producer(s)
    late = {"transaction_version": 2}
    yield marker(s, "a producer that is not there", who, here, **late)
    yield write(s, t, who, 0, b"a")
    yield producers(s, "it writes", t[0], 0)
    yield marker(s, "its epoch", who, here, **late)
    yield producers(s, "it is open still", t[0], 0)
    yield marker(s, "the next epoch", who.newer(), here, **late)
    yield producers(s, "it is committed", t[0], 0)
    yield marker(s, "the next epoch again", who.newer(), here, **late)
    yield marker(s, "the next epoch, abort", who.newer(), here, commit=False, **late)
    yield marker(s, "its epoch again", who, here, **late)
    yield marker(s, "version 1", who.newer(), here, transaction_version=1)
    yield marker(s, "version 3", who.newer(), here, transaction_version=3)
    yield marker(s, "version -1", who.newer(), here, transaction_version=-1)
    yield marker(s, "two epochs on", who.newer(3), here, **late)
    yield everything(s, t[0])


@scenario(WriteTxnMarkersRequest, versions=(1, 2))
def markers_of_a_group(s: Scene) -> Steps:
    """For a partition of __consumer_offsets: pending offsets follow the marker."""
    group = s.name("g")
    t = yield from topic(s)
    yield from coordinator(s, group)
    for word, commit in (("commit", True), ("abort", False)):
        who = yield from producer(s, word)
        yield offsets_of(s, None, who, group, at=3)
        yield commit_in(s, None, who, group, (t, {0: 7 if commit else 9}), at=3)
        yield from stable(s, f"before the {word}", group, t, 0)
        found = yield state(s, None, who)
        partition = found.transaction_states[0].topics[0].partitions[0]
        yield marker(s, word, who, ("__consumer_offsets", [partition]), commit=commit)
        yield from stable(s, f"after the {word}", group, t, 0)
        yield marker(s, f"{word} again", who, ("__consumer_offsets", [partition]), commit=commit)
        yield marker(s, "of an older coordinator", who, ("__consumer_offsets", [partition]),
                     coordinator_epoch=-1)  # fmt: skip
    yield marker(s, "an unknown partition", who, ("__consumer_offsets", [99]))


@scenario(WriteTxnMarkersRequest, versions=(1, 2))
def markers_of_many(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    u = yield from topic(s, "u")
    one = yield from producer(s, "one")
    two = yield from producer(s, "two")
    rows = [
        {
            "producer_id": who.producer_id,
            "producer_epoch": 0,
            "transaction_result": True,
            "topics": [{"name": n, "partition_indexes": p} for n, p in topics],
            "coordinator_epoch": 0,
        }
        for who, topics in (
            (one, [(t[0], [0, 1, 9]), (u[0], [0])]),
            (two, [(u[0], [0]), (s.name("unknown"), [0, 1])]),
        )
    ]
    yield s.ask("two markers", WriteTxnMarkersRequest, markers=rows)
    yield everything(s, u[0])
