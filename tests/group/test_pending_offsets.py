"""Offsets of open transactions: what a marker makes of them, and that a reload finds the same.

Random histories are held against a model that keeps what Kafka keeps, the position of every
record: of two offsets for one partition the one with the later record counts.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.group.offsets import CommittedOffset
from fastbroker.group.pending_offsets import PendingOffsets
from fastbroker.group.shard import Shard
from fastbroker.model import TopicPartition
from fastbroker.protocol.group_records import GroupMetadataKey, OffsetCommitKey
from fastbroker.protocol.record_frames import decode_key
from fastbroker.records.control import EndTransactionMarker
from tests.group.bench import Bench, InTransaction, Log

HERE, THERE = TopicPartition("orders", 0), TopicPartition("orders", 1)
HISTORIES, STEPS = 60, 40
GROUPS, PRODUCERS = ["g", "h"], [7, 8, 9]
PLACES = [("orders", 0), ("orders", 1), ("clicks", 0)]


def offset(number: int) -> CommittedOffset:
    return CommittedOffset(number, -1, "", 0)


def test_a_commit_gives_what_was_put_last() -> None:
    pending = PendingOffsets()
    pending.put(7, "g", HERE, offset(1))
    pending.put(7, "g", HERE, offset(2))
    pending.put(7, "h", THERE, offset(3))
    assert "g" in pending
    assert set(pending.of("g")) == {HERE}
    assert pending.end(7, commit=True) == [("g", HERE, offset(2)), ("h", THERE, offset(3))]
    assert "g" not in pending
    assert pending.end(7, commit=True) == []


def test_an_abort_gives_nothing() -> None:
    pending = PendingOffsets()
    pending.put(7, "g", HERE, offset(1))
    assert pending.end(7, commit=False) == [("g", HERE, None)]
    assert list(pending.of("g")) == []


def test_a_later_offset_counts() -> None:
    pending = PendingOffsets()
    pending.put(7, "g", HERE, offset(1))
    pending.overtake("g", HERE)
    assert set(pending.of("g")) == {HERE}, "it is pending all the same"
    pending.put(8, "g", HERE, offset(2))
    assert pending.end(7, commit=True) == [("g", HERE, None)]
    assert pending.end(8, commit=True) == [("g", HERE, offset(2))]


def test_of_two_transactions_the_later_record_counts_not_the_later_marker() -> None:
    pending = PendingOffsets()
    pending.put(7, "g", HERE, offset(1))
    pending.put(8, "g", HERE, offset(2))
    assert pending.end(8, commit=True) == [("g", HERE, offset(2))]
    assert pending.end(7, commit=True) == [("g", HERE, None)]
    pending.put(7, "g", HERE, offset(3))
    pending.put(8, "g", HERE, offset(4))
    assert pending.end(7, commit=True) == [("g", HERE, offset(3))]
    assert pending.end(8, commit=True) == [("g", HERE, offset(4))]


def test_a_tombstone_drops_what_is_pending() -> None:
    pending = PendingOffsets()
    for producer_id in 7, 8:
        pending.put(producer_id, "g", HERE, offset(1))
    pending.put(8, "g", THERE, offset(2))
    pending.remove("g", HERE)
    pending.remove("g", HERE)
    assert set(pending.of("g")) == {THERE}
    assert pending.end(7, commit=True) == []
    assert pending.end(8, commit=True) == [("g", THERE, offset(2))]
    assert "g" not in pending


def test_offsets_on_topics() -> None:
    pending = PendingOffsets()
    pending.put(7, "g", HERE, offset(1))
    pending.put(7, "h", TopicPartition("clicks", 0), offset(1))
    assert set(pending.on_topics({"orders"})) == {("g", HERE)}


# Random histories.


class Model:
    """What is set and what is pending, by the positions of records."""

    def __init__(self, items: list[Any]) -> None:
        self.offsets: dict[tuple[str, str, int], tuple[int, int]] = {}
        self.pending: dict[int, dict[tuple[str, str, int], tuple[int, int]]] = {}
        self.groups: set[str] = set()
        for position, item in items:
            self.take(position, item)

    def take(self, position: int, item: Any) -> None:
        if isinstance(item, EndTransactionMarker):
            self.end(item.producer_id, commit=item.commit)
            return
        key = decode_key(item[0], {1: OffsetCommitKey, 2: GroupMetadataKey})
        if isinstance(key, GroupMetadataKey):  # a tombstone
            offsets, unstable, _ = self.state()
            if key.group not in {place[0] for place in [*offsets, *unstable]}:
                self.groups.discard(key.group)
            return
        place = (key.group, key.topic, key.partition)
        if item[1] is None:
            self.offsets.pop(place, None)
            for places in self.pending.values():
                places.pop(place, None)
            return
        self.groups.add(key.group)
        set_to = int.from_bytes(item[1][2:10], "big")
        if isinstance(item, InTransaction):
            self.pending.setdefault(item.producer.id, {})[place] = (position, set_to)
        else:
            self.offsets[place] = (position, set_to)

    def end(self, producer_id: int, *, commit: bool) -> None:
        for place, found in self.pending.pop(producer_id, {}).items():
            if commit:
                self.offsets[place] = max(found, self.offsets.get(place, found))

    def state(self) -> tuple[Any, Any, set[str]]:
        """Offsets, places that are pending, and groups."""
        unstable = {place for places in self.pending.values() for place in places}
        offsets = {place: number for place, (_, number) in self.offsets.items()}
        return offsets, unstable, self.groups


def state(bench: Bench) -> tuple[Any, Any, set[str]]:
    """The same of a coordinator."""
    shard = bench.coordinator.shards.at(0)
    offsets = {
        (group_id, at.topic, at.partition): committed.offset
        for group_id, places in shard.offsets.groups.items()
        for at, committed in places.items()
    }
    unstable = {(one, at.topic, at.partition) for one in GROUPS for at in shard.pending.of(one)}
    return offsets, unstable, set(shard.groups)


def compacted(items: list[Any]) -> list[tuple[int, Any]]:
    """What a cleaner leaves of a log, with positions: below the first open transaction of every
    key the last record that counts, and what is not older than that transaction."""
    ends = {}  # position of the marker by (producer, number of its transaction)
    number = dict.fromkeys(PRODUCERS, 0)
    of = {}
    for position, item in enumerate(items):
        if isinstance(item, EndTransactionMarker):
            ends[item.producer_id, number[item.producer_id]] = item.commit
            number[item.producer_id] += 1
        elif isinstance(item, InTransaction):
            of[position] = (item.producer.id, number[item.producer.id])
    stable = min([p for p, one in of.items() if one not in ends], default=len(items))
    last: dict[bytes, int] = {}
    for position, item in enumerate(items[:stable]):
        if not isinstance(item, EndTransactionMarker) and ends.get(of.get(position), True):
            last[item[0]] = position
    return [
        (position, item)
        for position, item in enumerate(items)
        if position >= stable
        or isinstance(item, EndTransactionMarker)
        or last.get(item[0]) == position
    ]


class History:
    """One coordinator, lived by chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.bench = Bench(offsets_topic_num_partitions=1)
        self.log = self.bench.log
        self.number = 0

    def places(self) -> dict[tuple[str, int], int]:
        chosen = self.random.sample(PLACES, self.random.randint(1, 2))
        self.number += 1
        return dict.fromkeys(chosen, self.number)

    def step(self) -> None:
        bench, group_id = self.bench, self.random.choice(GROUPS)
        producer_id = self.random.choice(PRODUCERS)
        match self.random.choices(range(6), [4, 8, 4, 1, 1, 1])[0]:
            case 0:
                bench.commit(self.places(), group_id=group_id)
            case 1:
                codes = bench.commit_in_transaction(
                    self.places(), group_id=group_id, producer_id=producer_id
                )
                assert not any(codes)
            case 2:
                commit = self.random.random() < 0.6
                assert bench.end(commit=commit, producer_id=producer_id).done
            case 3:
                places = self.places()
                bench.delete_offsets(*places, group_id=group_id)
                self.check_gone(lambda one: one[0] == group_id and one[1:] in places)
            case 4:
                bench.delete(group_id)
                self.check_gone(lambda one: one[0] == group_id)
            case 5:
                bench.coordinator.on_topics_deleted(["clicks"])
                self.check_gone(lambda one: one[1] == "clicks")

    def check_gone(self, is_gone: Callable[[tuple[str, str, int]], bool]) -> None:
        offsets, unstable, _ = state(self.bench)
        assert not [one for one in {*offsets, *unstable} if is_gone(one)]

    def check(self) -> None:
        items = self.log.partitions.get(0, [])
        assert state(self.bench) == Model(list(enumerate(items))).state()
        assert self.check_reload(list(enumerate(items))) == state(self.bench)
        left = self.check_reload(compacted(items))
        assert left[:2] == state(self.bench)[:2], "a group without offsets may be compacted away"

    def check_reload(self, items: list[tuple[int, Any]]) -> tuple[Any, Any, set[str]]:
        """What is in a log, as a coordinator finds it; then its transactions end, somehow."""
        log = Log()
        log.partitions[0] = [item for _, item in items]
        bench = Bench(log=log, offsets_topic_num_partitions=1)
        found = state(bench)
        model = Model(items)
        for producer_id in self.random.sample(PRODUCERS, len(PRODUCERS)):
            commit = self.random.random() < 0.8
            bench.end(commit=commit, producer_id=producer_id)
            model.end(producer_id, commit=commit)
            assert state(bench) == model.state()
        return found


class SlowHistory(History):
    """The same, with writes that take their time, fail, or are in the log though they failed, and
    with partitions that move away while writes are on their way.

    applied: what a coordinator knows of: what it has loaded, and written since.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.log.instant = False
        self.applied: list[Any] = []
        self.epoch = 1

    def step(self) -> None:
        bench, log, group_id = self.bench, self.log, self.random.choice(GROUPS)
        producer_id = self.random.choice(PRODUCERS)
        match self.random.choices(range(9), [3, 6, 4, 1, 1, 1, 14, 1, 1])[0]:
            case 0:
                bench.commit(self.places(), group_id=group_id)
            case 1:
                bench.commit_in_transaction(
                    self.places(), group_id=group_id, producer_id=producer_id
                )
            case 2:
                bench.end(commit=self.random.random() < 0.6, producer_id=producer_id)
            case 3:
                bench.delete_offsets(*self.places(), group_id=group_id)
            case 4:
                bench.delete(group_id)
            case 5:
                bench.coordinator.on_topics_deleted(["clicks"])
            case 6 if log.pending:
                self.applied += log.pending[0].records
                log.complete(1)
            case 7 if log.pending:
                if self.random.random() < 0.5:
                    self.save(1)
                log.fail(errors.RequestTimedOut())
            case 8:
                self.save(self.random.randint(0, len(log.pending)))
                bench.coordinator.resigned(0)
                while log.pending:
                    log.fail(errors.NotLeaderOrFollower())
                self.epoch += 1
                bench.coordinator.elected(0, self.epoch, log.batches(0))
                self.applied = list(log.partitions.get(0, []))

    def save(self, count: int) -> None:
        for write in self.log.pending[:count]:
            self.log.partitions.setdefault(0, []).extend(write.records)

    def check(self) -> None:
        assert state(self.bench) == Model(list(enumerate(self.applied))).state()
        left = self.check_reload(compacted(self.log.partitions.get(0, [])))
        model = Model(list(enumerate(self.log.partitions.get(0, []))))
        assert left[:2] == model.state()[:2]


def run(seeds: range, kind: type[History] = History) -> None:
    for seed in seeds:
        history = kind(seed)
        try:
            for _ in range(STEPS):
                history.step()
                history.check()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("kind", [History, SlowHistory])
def test_random_histories_and_every_prefix_of_them_reloaded(kind: type[History]) -> None:
    run(range(HISTORIES), kind)


def a_later_marker_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PendingOffsets, "_overtake", lambda *_: None)


def tombstones_spare_what_is_pending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PendingOffsets, "remove", lambda *_: None)


def aborts_are_commits(patch: pytest.MonkeyPatch) -> None:
    right = PendingOffsets.end
    patch.setattr(PendingOffsets, "end", lambda self, one, *, commit: right(self, one, commit=True))


def deletions_forget_what_is_pending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shard, "has_offset", lambda self, group_id, at: at in self.offsets.of(group_id))


@pytest.mark.parametrize(
    "plant",
    [
        a_later_marker_counts, tombstones_spare_what_is_pending, aborts_are_commits,
        deletions_forget_what_is_pending,
    ],
)  # fmt: skip
def test_a_planted_bug_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run(range(20))


# Writes that take their time, or fail.


def test_what_is_pending_and_what_counts_is_known_once_it_is_written() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.log.instant = False
    answer = bench.commit_in_transaction({HERE: 5})
    assert not answer.done
    assert bench.coordinator.shards.at(0).groups == {}
    bench.log.complete()
    assert answer.result() == [0]
    assert bench.stable_offsets(HERE) == [-errors.UnstableOffsetCommit.code]
    done = bench.end(commit=True)
    assert bench.committed() == {}
    bench.log.complete()
    assert done.done
    assert bench.stable_offsets(HERE) == [5]


def test_a_marker_that_is_not_written_changes_nothing_and_can_be_repeated() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit_in_transaction({HERE: 5})
    bench.log.instant = False
    done = bench.end(commit=True)
    bench.log.fail(errors.NotEnoughReplicas())
    assert isinstance(done.error, errors.NotEnoughReplicas)
    assert bench.stable_offsets(HERE) == [-88]
    bench.log.instant = True
    for _ in range(2):
        assert bench.end(commit=True).error is None
        assert bench.stable_offsets(HERE) == [5]


def test_writes_that_end_after_a_resignation_are_the_next_coordinators_business() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit_in_transaction({HERE: 5})
    bench.log.instant = False
    bench.commit_in_transaction({THERE: 6})
    done = bench.end(commit=True)
    bench.coordinator.resigned(0)
    assert isinstance(bench.end(commit=True).error, errors.NotLeaderOrFollower)
    bench.log.complete()
    assert done.error is None
    bench.elect(2)
    assert bench.committed() == {HERE: 5, THERE: 6}


def test_what_is_replayed_later_is_of_no_transaction() -> None:
    """The last record of the log is of an open one; that says nothing of what comes after."""
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit_in_transaction({HERE: 5})
    bench.reload(2)
    shard = bench.coordinator.shards.at(0)
    shard.replay(*offset(6).record("h", HERE))
    assert shard.offsets.of("h") == {HERE: offset(6)}
    assert "h" not in shard.pending


def test_a_marker_while_the_partition_is_loading_is_to_be_sent_again() -> None:
    bench = Bench(offsets_topic_num_partitions=1, elect=False)
    done = bench.end(commit=True)
    assert isinstance(done.error, errors.NotLeaderOrFollower)


def test_a_group_deleted_with_a_transaction_open() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit({HERE: 1})
    bench.commit_in_transaction({HERE: 5, THERE: 6})
    assert bench.delete("g").results[0].error_code == 0
    assert bench.list().groups == []
    bench.commit_in_transaction({THERE: 7})
    bench.end(commit=True)
    for epoch in 2, 3:
        assert bench.committed() == {THERE: 7}, "what was committed after the deletion"
        bench.reload(epoch)


def test_a_transactional_commit_on_its_way_outlives_a_deletion() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit({HERE: 1})
    bench.log.instant = False
    bench.commit_in_transaction({THERE: 6})
    bench.delete("g")
    bench.log.complete()
    assert [one.group_id for one in bench.list().groups] == ["g"]
    bench.log.instant = True
    bench.end(commit=True)
    for epoch in 2, 3:
        assert bench.committed() == {THERE: 6}
        bench.reload(epoch)


def test_pending_offsets_hold_up_expiry() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit({HERE: 1, THERE: 1})
    bench.commit_in_transaction({HERE: 2, ("clicks", 0): 3})
    eight_days = 8 * 86_400_000
    bench.coordinator.expire(bench.timers.now_ms() + eight_days)
    assert bench.committed() == {HERE: 1}, "the other one has expired"
    bench.end(commit=True)
    assert bench.committed() == {HERE: 2, ("clicks", 0): 3}
    bench.coordinator.expire(bench.timers.now_ms() + eight_days)
    assert bench.list().groups == []


def test_an_empty_group_with_a_transaction_open_stays() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    (only,) = bench.stable()
    bench.commit_in_transaction({HERE: 2}, member_id=only.member_id, generation=1)
    bench.leave((only.member_id, None))
    bench.coordinator.expire(bench.timers.now_ms() + 10**10)
    assert len(bench.list().groups) == 1
    bench.end(commit=False)
    bench.coordinator.expire(bench.timers.now_ms() + 10**10)
    assert bench.list().groups == []


def test_a_group_outlives_its_last_offset_until_expiry_comes_by() -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    bench.commit_in_transaction({HERE: 2})
    bench.commit({HERE: 2}, group_id="h")
    bench.end(commit=False)
    bench.delete_offsets(HERE, group_id="h")
    for epoch in 2, 3:
        assert [one.group_id for one in bench.list().groups] == ["g", "h"]
        bench.reload(epoch)
    assert bench.delete("g").results[0].error_code == 0
    bench.coordinator.expire(bench.timers.now_ms())
    for epoch in 4, 5:
        assert bench.list().groups == []
        bench.reload(epoch)
