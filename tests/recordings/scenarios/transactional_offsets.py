"""TxnOffsetCommit, and OffsetFetch while offsets wait for the end of their transaction."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.messages.txn_offset_commit import TxnOffsetCommitRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.group_deletion import offsets as all_offsets
from tests.recordings.scenarios.group_offsets import commit, fetch
from tests.recordings.scenarios.groups import join, leave, only_member
from tests.recordings.scenarios.prepare import coordinator
from tests.recordings.scenarios.transaction_members import offsets_of
from tests.recordings.scenarios.transactions import (
    Producer,
    end,
    init_again,
    producer,
    settled,
    state,
    topic,
)

ADDS_ITSELF = 5  # from this version on the group's partition is added to the transaction by it
Offsets = tuple[tuple[str, bytes], dict[int, int]]


def commit_in(
    s: Scene, label: str | None, who: Producer, group: str, *topics: Offsets,
    generation: int = -1, member: str = "", metadata: str | None = "note", **more: Any,
) -> Step:  # fmt: skip
    rows = [
        {
            "name": name,
            "partitions": [
                {
                    "partition_index": p,
                    "committed_offset": o,
                    "committed_leader_epoch": 3,
                    "committed_metadata": metadata,
                }
                for p, o in offsets.items()
            ],
        }
        for (name, _), offsets in topics
    ]
    return s.ask(
        label, TxnOffsetCommitRequest, transactional_id=who.id, group_id=group,
        producer_id=who.producer_id, producer_epoch=who.epoch, generation_id=generation,
        member_id=member, topics=rows, **more,
    )  # fmt: skip


def began(s: Scene, who: Producer, group: str) -> Steps:
    """Add the group, where the version does not do it."""
    if s.version < ADDS_ITSELF:
        yield offsets_of(s, None, who, group, at=3)


def ended(s: Scene, label: str | None, who: Producer, *, commit: bool) -> Steps:
    """End it as clients of the version do; the producer then."""
    late = s.version >= ADDS_ITSELF
    answer = yield end(s, label, who, commit=commit, at=5 if late else 3)
    yield settled(s, None, who)
    return who._replace(epoch=answer.producer_epoch) if late else who


def stable(s: Scene, label: str, group: str, t: tuple[str, bytes], *partitions: int) -> Steps:
    """What is committed, waiting for what is pending, or not."""
    rows = [{"name": t[0], "partition_indexes": list(partitions)}]
    for required in (True, False):
        yield s.ask(f"{label}, stable {required}", OffsetFetchRequest, at=7, group_id=group,
                    topics=rows, require_stable=required)  # fmt: skip


@scenario(TxnOffsetCommitRequest, versions=(0, 1, 2, 3, 4, 5))
def commits_in_transactions(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s, partitions=3)
    u = yield from topic(s, "u")
    who = yield from producer(s)
    yield from coordinator(s, group)
    yield commit(s, None, group, (t, {0: 1}), at=8)
    yield commit_in(s, "before the group is added", who, group, (t, {0: 5}))
    yield state(s, "the transaction", who)
    yield from began(s, who, group)
    yield commit_in(s, "one", who, group, (t, {0: 5}))
    yield commit_in(s, "two topics", who, group, (t, {0: 6, 1: 7}), (u, {0: 8}))
    yield state(s, "the transaction then", who)
    yield from stable(s, "pending", group, t, 0, 1, 2)
    yield all_offsets(s, "all", group)
    yield commit(s, "committed without the transaction", group, (t, {1: 3}), at=8)
    yield from stable(s, "both ways", group, t, 0, 1, 2)
    who = yield from ended(s, "commit", who, commit=True)
    yield from stable(s, "committed", group, t, 0, 1, 2)
    yield all_offsets(s, "all that is committed", group)
    yield from began(s, who, group)
    yield commit_in(s, "the next transaction", who, group, (t, {0: 100, 2: 100}))
    yield from stable(s, "pending again", group, t, 0, 1, 2)
    who = yield from ended(s, "abort", who, commit=False)
    yield from stable(s, "aborted", group, t, 0, 1, 2)
    yield all_offsets(s, "all that is left", group)


@scenario(TxnOffsetCommitRequest, versions=(0, 2, 3, 4, 5))
def refused_commits(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s, partitions=2)
    who = yield from producer(s)
    yield from coordinator(s, group)
    yield from began(s, who, group)
    unknown = (s.name("unknown"), bytes(16))
    yield commit_in(s, "an unknown topic", who, group, (unknown, {0: 5}))
    yield commit_in(s, "an unknown partition", who, group, (t, {9: 5}))
    yield commit_in(s, "one known of two", who, group, (t, {0: 5, 9: 5}))
    yield commit_in(s, "a negative partition", who, group, (t, {-1: 5}))
    yield commit_in(s, "a negative offset", who, group, (t, {0: -1}))
    yield commit_in(s, "no metadata", who, group, (t, {0: 5}), metadata=None)
    yield commit_in(s, "4097 characters of metadata", who, group, (t, {0: 5}), metadata="x" * 4097)
    yield commit_in(s, "no topic", who, group)
    yield commit_in(s, "an empty group id", who, "", (t, {0: 5}))
    yield commit_in(s, "an older epoch", who.older(), group, (t, {0: 5}))
    yield commit_in(s, "a newer epoch", who.newer(), group, (t, {0: 5}))
    other = who._replace(producer_id=who.producer_id + 900)
    yield commit_in(s, "another producer id", other, group, (t, {0: 5}))
    yield commit_in(s, "an unknown transactional id", who._replace(id=s.name("nobody")), group,
                    (t, {0: 5}))  # fmt: skip
    yield commit_in(s, "an empty transactional id", who._replace(id=""), group, (t, {0: 5}))
    yield commit_in(s, "another group", who, s.name("h"), (t, {0: 5}))
    if s.version >= 3:
        yield commit_in(s, "a member of no group", who, group, (t, {0: 5}), member="nobody",
                        generation=1)  # fmt: skip
        yield commit_in(s, "a generation of no group", who, group, (t, {0: 5}), generation=1)
        yield commit_in(s, "a member without a generation", who, group, (t, {0: 5}),
                        member="nobody")  # fmt: skip
    yield state(s, "the transaction", who)
    answer = yield init_again(s, None, who.id, at=4)
    yield commit_in(s, "a fenced one", who, group, (t, {0: 5}))
    fresh = who._replace(epoch=answer.producer_epoch)
    yield from began(s, fresh, group)
    yield commit_in(s, "the new one", fresh, group, (t, {0: 50}))
    yield commit_in(s, "the fenced one again", who, group, (t, {0: 5}))
    yield from ended(s, "commit", fresh, commit=True)
    yield all_offsets(s, "all", group)


@scenario(TxnOffsetCommitRequest, versions=(0, 3, 5))
def commits_of_group_members(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s)
    who = yield from producer(s)
    member, generation = yield from only_member(s, group)
    yield from began(s, who, group)
    yield commit_in(s, "good", who, group, (t, {0: 1}), member=member, generation=generation)
    yield commit_in(s, "an old generation", who, group, (t, {0: 2}), member=member,
                    generation=generation - 1)  # fmt: skip
    yield commit_in(s, "a generation to come", who, group, (t, {0: 2}), member=member,
                    generation=generation + 1)  # fmt: skip
    yield commit_in(s, "an unknown member", who, group, (t, {0: 2}), member="nobody",
                    generation=generation)  # fmt: skip
    yield commit_in(s, "a generation only", who, group, (t, {0: 2}), generation=generation)
    yield commit_in(s, "no member", who, group, (t, {0: 3}))
    yield commit_in(s, "an unknown instance", who, group, (t, {0: 2}), member=member,
                    generation=generation, group_instance_id="nobody")  # fmt: skip
    joined = yield join(s, None, group, member, at=5)
    yield commit_in(s, "before the sync", who, group, (t, {0: 4}), member=member,
                    generation=joined.generation_id)  # fmt: skip
    yield leave(s, None, group, member, at=2)
    yield commit_in(s, "after leaving", who, group, (t, {0: 5}), member=member,
                    generation=joined.generation_id)  # fmt: skip
    yield commit_in(s, "without a member, the group is empty", who, group, (t, {0: 6}))
    yield from stable(s, "pending", group, t, 0)
    yield s.ask("delete it while offsets wait", DeleteGroupsRequest, at=2, groups_names=[group])
    yield from ended(s, "abort", who, commit=False)
    yield from stable(s, "aborted", group, t, 0)
    yield s.ask("delete it then", DeleteGroupsRequest, at=2, groups_names=[group])


@scenario(TxnOffsetCommitRequest, versions=(3, 5))
def a_group_of_pending_offsets(s: Scene) -> Steps:
    """Nothing else is known of the group."""
    group = s.name("g")
    t = yield from topic(s)
    who = yield from producer(s)
    yield from coordinator(s, group)
    yield from began(s, who, group)
    yield commit_in(s, "commit", who, group, (t, {0: 1}))
    yield s.ask("groups", ListGroupsRequest, at=4, only=s.prefix)
    yield from stable(s, "pending", group, t, 0)
    yield s.ask("delete it", DeleteGroupsRequest, at=2, groups_names=[group])
    yield from ended(s, "end", who, commit=True)
    yield s.ask("groups then", ListGroupsRequest, at=4, only=s.prefix)
    yield from stable(s, "then", group, t, 0)


@scenario(TxnOffsetCommitRequest, versions=(3, 5))
def two_transactions_on_a_group(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s)
    one = yield from producer(s, "one")
    two = yield from producer(s, "two")
    yield from coordinator(s, group)
    for who in (one, two):
        yield from began(s, who, group)
    yield commit_in(s, "the first", one, group, (t, {0: 1}))
    yield commit_in(s, "the second", two, group, (t, {0: 2}))
    yield from ended(s, "the second commits", two, commit=True)
    yield from stable(s, "one is committed", group, t, 0)
    yield from ended(s, "the first commits", one, commit=True)
    yield from stable(s, "both are, the first last", group, t, 0)
    answer = yield init_again(s, None, one.id, at=4)
    one = one._replace(epoch=answer.producer_epoch)
    answer = yield init_again(s, None, two.id, at=4)
    two = two._replace(epoch=answer.producer_epoch)
    yield from began(s, one, group)
    yield from began(s, two, group)
    yield commit_in(s, "the first again", one, group, (t, {0: 3}))
    yield commit_in(s, "the second again", two, group, (t, {0: 4}))
    yield from ended(s, "the first aborts", one, commit=False)
    yield from stable(s, "one is aborted", group, t, 0)
    yield from ended(s, "the second aborts", two, commit=False)
    yield from stable(s, "both are", group, t, 0)


@scenario(OffsetFetchRequest, versions=(7, 8, 9, 10))
def stable_offsets(s: Scene) -> Steps:
    group = s.name("g")
    t = yield from topic(s, partitions=2)
    who = yield from producer(s)
    yield from coordinator(s, group)
    yield commit(s, None, group, (t, {0: 1}), at=8)
    yield offsets_of(s, None, who, group, at=3)
    yield commit_in(s, None, who, group, (t, {0: 2}), at=3)
    for required in (True, False):
        yield fetch(s, f"one, stable {required}", group, (t, [0]), require_stable=required)
        yield fetch(s, f"both, stable {required}", group, (t, [0, 1]), require_stable=required)
        yield fetch(s, f"everything, stable {required}", group, everything=True,
                    require_stable=required)  # fmt: skip
    yield end(s, None, who, commit=True, at=3)
    yield settled(s, None, who)
    yield fetch(s, "one is committed", group, (t, [0]), require_stable=True)
    yield fetch(s, "everything is committed", group, everything=True, require_stable=True)


@scenario(FindCoordinatorRequest, versions=(1, 3, 4, 6))
def of_transactional_ids(s: Scene) -> Steps:
    ids = [s.name(word) for word in ("a", "b", "a")]
    one = {"key": ids[0], "coordinator_keys": ids[:1]}
    yield s.ask(None, FindCoordinatorRequest, at=1, key=ids[0], key_type=1,
                until=lambda a: a.error_code == 0)  # fmt: skip
    yield s.ask("one", FindCoordinatorRequest, key_type=1, **one)
    if s.version >= 4:
        yield s.ask("three", FindCoordinatorRequest, key_type=1, coordinator_keys=ids)
        yield s.ask("an empty one of two", FindCoordinatorRequest, key_type=1,
                    coordinator_keys=["", ids[0]])  # fmt: skip
        yield s.ask("none", FindCoordinatorRequest, key_type=1, coordinator_keys=[])
