"""OffsetCommit, OffsetFetch, OffsetDelete and expiry, rule by rule."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.model import Deferred
from fastbroker.protocol.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.record_frames import decode_key, decode_value, encode_key, encode_value
from tests.group.bench import TOPIC_PARTITIONS, TOPICS, Bench

DAY_MS = 86_400_000
HERE = ("orders", 0)


def code(answer: Any) -> int:
    return int(answer.topics[0].partitions[0].error_code)


def test_a_commit_is_acknowledged_and_visible_once_it_is_in_the_log() -> None:
    bench = Bench()
    bench.log.instant = False
    answer = bench.commit({HERE: 5})
    assert isinstance(answer, Deferred)
    assert bench.committed() == {}
    bench.log.complete()
    assert code(answer.result()) == 0
    assert bench.committed() == {HERE: 5}


def test_the_records_are_kafkas() -> None:
    bench = Bench()
    bench.commit({HERE: 5}, metadata="note")
    ((key, value),) = bench.log.partitions[bench.coordinator.partition_for("g")]
    assert decode_key(key, {1: OffsetCommitKey}) == OffsetCommitKey(
        group="g", topic="orders", partition=0
    )
    assert value is not None
    assert value[:2] == b"\0\4"
    kept = decode_value(value, OffsetCommitValue)
    assert (kept.offset, kept.leader_epoch, kept.metadata) == (5, 7, "note")
    assert kept.topic_id == TOPICS["orders"]
    bench.commit({HERE: 6}, version=4, retention_ms=1_000)
    value = bench.log.partitions[bench.coordinator.partition_for("g")][1][1]
    assert value is not None
    assert value[:2] == b"\0\1"
    assert decode_value(value, OffsetCommitValue).expire_timestamp == bench.timers.now_ms() + 1_000


def test_commits_overlap_and_count_in_their_order() -> None:
    bench = Bench()
    bench.log.instant = False
    answers = [bench.commit({HERE: n}) for n in range(3)]
    bench.log.complete(1)
    assert [one.done for one in answers] == [True, False, False]
    assert bench.committed() == {HERE: 0}
    bench.log.complete()
    assert bench.committed() == {HERE: 2}


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (errors.NotLeaderOrFollower(), 16),
        (errors.NotEnoughReplicas(), 15),
        (errors.RequestTimedOut(), 15),
        (errors.KafkaStorageError(), 16),
        (errors.MessageTooLarge(), -1),
        (errors.InvalidRequest(), 42),
    ],
)
def test_a_commit_that_is_not_written_changes_nothing(
    failure: errors.KafkaError, told: int
) -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    bench.log.instant = False
    answer = bench.commit({HERE: 2})
    bench.log.fail(failure)
    assert code(answer.result()) == told
    assert bench.committed() == {HERE: 1}


def test_a_failed_first_commit_leaves_no_group() -> None:
    bench = Bench()
    bench.log.instant = False
    bench.commit({HERE: 2})
    bench.log.fail(errors.RequestTimedOut())
    assert bench.list().groups == []


def test_a_commit_without_partitions_writes_nothing() -> None:
    bench = Bench()
    assert bench.commit({}).topics == []
    assert bench.list().groups == []


def test_a_commit_on_an_unknown_topic() -> None:
    bench = Bench()
    assert code(bench.commit({("nope", 0): 1})) == 3
    assert code(bench.commit({("nope", 0): 1}, version=10)) == 100


@pytest.mark.parametrize("number", [-1, TOPIC_PARTITIONS])
@pytest.mark.parametrize("version", [9, 10])
def test_a_commit_on_an_unknown_partition(number: int, version: int) -> None:
    bench = Bench()
    answer = bench.commit({HERE: 1, ("orders", number): 1}, version=version)
    codes = {p.partition_index: p.error_code for t in answer.topics for p in t.partitions}
    assert codes == {0: 0, number: 3}
    assert bench.committed() == {HERE: 1}


def test_a_commit_by_topic_id() -> None:
    bench = Bench()
    answer = bench.commit({HERE: 1}, version=10)
    assert answer.topics[0].topic_id == TOPICS["orders"]
    assert bench.committed() == {HERE: 1}


def test_metadata_is_limited() -> None:
    bench = Bench()
    assert code(bench.commit({HERE: 1}, metadata="x" * 4_096)) == 0
    assert code(bench.commit({HERE: 2}, metadata="x" * 4_097)) == 12
    assert bench.committed() == {HERE: 1}


def test_without_a_generation_only_an_empty_group_takes_commits() -> None:
    bench = Bench()
    (only,) = bench.stable()
    assert code(bench.commit({HERE: 1})) == 25
    bench.leave((only.member_id, None))
    assert code(bench.commit({HERE: 1})) == 0


def test_a_member_commits_in_its_generation() -> None:
    bench = Bench()
    (only,) = bench.stable()
    me = only.member_id
    assert code(bench.commit({HERE: 1}, member_id=me, generation=1)) == 0
    assert code(bench.commit({HERE: 1}, member_id=me, generation=0)) == 22
    assert code(bench.commit({HERE: 1}, member_id="other", generation=1)) == 25
    assert code(bench.commit({HERE: 1}, member_id=me, generation=1, instance="i9")) == 25
    bench.join(me)  # the leader joins again: completing
    assert code(bench.commit({HERE: 1}, member_id=me, generation=2)) == 27


def test_a_member_may_commit_while_others_are_waited_for() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.enter()
    assert code(bench.commit({HERE: 1}, member_id=only.member_id, generation=1)) == 0


def test_a_commit_of_a_generation_for_a_group_that_does_not_exist() -> None:
    bench = Bench()
    assert code(bench.commit({HERE: 1}, member_id="m", generation=1, version=8)) == 22
    assert code(bench.commit({HERE: 1}, member_id="m", generation=1, version=9)) == 69


# OffsetFetch.


def old(topics: list[tuple[str, list[int]]] | None, **more: Any) -> OffsetFetchRequest:
    return OffsetFetchRequest(
        group_id="g",
        topics=None
        if topics is None
        else [
            OffsetFetchRequest.OffsetFetchRequestTopic(name=name, partition_indexes=indexes)
            for name, indexes in topics
        ],
        **more,
    )


def test_fetch_in_old_versions() -> None:
    bench = Bench()
    bench.commit({HERE: 5}, metadata="note")
    answer = bench.fetch(old([("orders", [0, 1])]), 5)
    here, there = answer.topics[0].partitions
    assert (here.committed_offset, here.committed_leader_epoch, here.metadata) == (5, 7, "note")
    assert (there.committed_offset, there.error_code, there.metadata) == (-1, 0, "")
    assert bench.fetch(old(None), 5).topics[0].partitions == [here]
    assert bench.fetch(old([]), 5).topics == []


def test_fetch_elsewhere_in_old_versions() -> None:
    bench = Bench(elect=False)
    assert bench.fetch(old([HERE_ASKED]), 1).topics[0].partitions[0].error_code == 16
    at_top = bench.fetch(old([HERE_ASKED]), 2)
    assert (at_top.error_code, at_top.topics) == (16, [])


HERE_ASKED = ("orders", [0])


def test_fetch_several_groups() -> None:
    bench = Bench()
    bench.commit({HERE: 5})
    bench.commit({HERE: 6}, group_id="h")
    group = OffsetFetchRequest.OffsetFetchRequestGroup
    topic = group.OffsetFetchRequestTopics
    bench.coordinator.resigned(bench.coordinator.partition_for("elsewhere"))
    request = OffsetFetchRequest(
        groups=[
            group(group_id="h", topics=None, member_id="whoever", member_epoch=3),
            group(group_id="elsewhere", topics=None),
            group(group_id="g", topics=[topic(name="orders", partition_indexes=[0])]),
        ]
    )
    h, elsewhere, g = bench.fetch(request, 9).groups
    assert h.topics[0].partitions[0].committed_offset == 6
    assert (elsewhere.error_code, elsewhere.topics) == (16, [])
    assert g.topics[0].partitions[0].committed_offset == 5


def test_fetch_by_topic_id() -> None:
    bench = Bench()
    bench.commit({HERE: 5, ("gone", 0): 6})
    del bench.topics["gone"]
    group = OffsetFetchRequest.OffsetFetchRequestGroup
    topic = group.OffsetFetchRequestTopics
    asked = group(
        group_id="g",
        topics=[
            topic(topic_id=TOPICS["orders"], partition_indexes=[0]),
            topic(topic_id=TOPICS["gone"], partition_indexes=[0]),
        ],
    )
    (answered,) = bench.fetch(OffsetFetchRequest(groups=[asked]), 10).groups
    here, gone = answered.topics
    assert (here.topic_id, here.partitions[0].committed_offset) == (TOPICS["orders"], 5)
    assert gone.partitions[0].error_code == 100
    everything = OffsetFetchRequest(groups=[group(group_id="g", topics=None)])
    (answered,) = bench.fetch(everything, 10).groups
    assert [one.topic_id for one in answered.topics] == [TOPICS["orders"]]


def test_another_topic_of_the_same_name_has_no_offset() -> None:
    bench = Bench()
    bench.commit({HERE: 5})
    bench.topics["orders"] = bytes([8]) * 16
    partitions = bench.fetch(old([HERE_ASKED]), 5).topics[0].partitions
    assert partitions[0].committed_offset == -1
    assert bench.committed() == {}


def test_a_stable_fetch_waits_for_commits_on_their_way() -> None:
    bench = Bench()
    bench.log.instant = False
    bench.commit({HERE: 5})
    stable = bench.fetch(old([HERE_ASKED], require_stable=True), 7)
    loose = bench.fetch(old([HERE_ASKED]), 7)
    assert loose.topics[0].partitions[0].committed_offset == -1
    assert not stable.done
    bench.log.complete()
    assert stable.result().topics[0].partitions[0].committed_offset == 5


# OffsetDelete.


def subscription(topic: str) -> bytes:
    name = topic.encode()
    return b"\0\1" + b"\0\0\0\1" + len(name).to_bytes(2, "big") + name + b"\xff\xff\xff\xff" + b"x"


def test_offsets_that_members_do_not_read_can_be_deleted() -> None:
    bench = Bench()
    bench.commit({HERE: 5, ("clicks", 0): 6})
    bench.stable(protocols=(("range", subscription("orders")),))
    assert code(bench.delete_offsets(HERE)) == 86
    assert code(bench.delete_offsets(("clicks", 0))) == 0
    assert bench.committed() == {HERE: 5}
    bench.reload(2)
    assert bench.committed() == {HERE: 5}


def test_a_group_that_does_not_say_what_it_reads_reads_everything() -> None:
    bench = Bench()
    bench.stable(protocols=(("range", b"\0"),))
    assert code(bench.delete_offsets(HERE)) == 86


def test_what_a_group_reads_is_what_its_generation_joined_with() -> None:
    bench = Bench()
    bench.commit({HERE: 5, ("clicks", 0): 6})
    waiting = bench.join(instance="i1", protocols=(("range", subscription("orders")),))
    bench.timers.advance(20)
    bench.assign([waiting.result()])
    back = bench.join(instance="i1", protocols=(("range", subscription("clicks")),))
    assert back.generation_id == 1, "it has still to read what it was assigned"
    assert code(bench.delete_offsets(HERE)) == 86
    assert code(bench.delete_offsets(("clicks", 0))) == 0


def test_offset_delete_refuses() -> None:
    bench = Bench()
    assert bench.delete_offsets(HERE).error_code == 69
    bench.stable(protocol_type="connect")
    assert bench.delete_offsets(HERE).error_code == 68
    assert bench.delete_offsets(HERE, group_id="").error_code == 24
    bench.commit({HERE: 1}, group_id="simple")
    assert code(bench.delete_offsets(("nope", 0), group_id="simple")) == 3
    assert code(bench.delete_offsets(("orders", -1), group_id="simple")) == 3


def test_offset_delete_that_is_not_written() -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    bench.log.instant = False
    answer = bench.delete_offsets(HERE)
    bench.log.fail(errors.NotEnoughReplicas())
    assert answer.result().error_code == 15
    assert bench.committed() == {HERE: 1}


# Expiry.


def expire(bench: Bench, days: float) -> None:
    bench.timers.advance(days * DAY_MS)
    bench.coordinator.expire(bench.timers.now_ms())


def test_offsets_of_a_simple_group_expire_after_the_last_commit() -> None:
    bench = Bench()
    bench.commit({HERE: 1, ("clicks", 0): 1})
    expire(bench, 6)
    bench.commit({HERE: 2})
    expire(bench, 1)
    assert bench.committed() == {HERE: 2}
    expire(bench, 6)
    assert bench.list().groups == []
    bench.reload(2)
    assert bench.list().groups == []


def test_offsets_of_a_group_expire_after_it_became_empty() -> None:
    bench = Bench()
    (only,) = bench.stable(session=1_800_000)
    bench.commit({HERE: 1}, member_id=only.member_id, generation=1)
    for _ in range(8 * 48):
        bench.timers.advance(1_799_000)
        bench.heartbeat(only.member_id, 1)
    expire(bench, 0)
    assert bench.committed() == {HERE: 1}, "it has a member, whose topics nobody knows"
    bench.leave((only.member_id, None))
    expire(bench, 6.9)
    bench.reload(2)
    assert bench.committed() == {HERE: 1}
    expire(bench, 0.1)
    assert bench.list().groups == []


def test_topics_a_stable_group_reads_no_more_expire() -> None:
    bench = Bench()
    bench.commit({HERE: 1, ("clicks", 0): 1})
    (only,) = bench.stable(protocols=(("range", subscription("orders")),), session=1_800_000)
    for _ in range(8 * 48):
        bench.timers.advance(1_799_000)
        bench.heartbeat(only.member_id, 1)
    expire(bench, 0)
    assert bench.committed() == {HERE: 1}


def test_nothing_expires_during_a_rebalance_or_of_members_whose_topics_are_not_known() -> None:
    bench = Bench()
    bench.commit({HERE: 1, ("clicks", 0): 1})
    bench.commit({HERE: 1}, group_id="other")
    how = {"session": 1_800_000, "rebalance": 10 * DAY_MS}
    (only,) = bench.stable(protocols=(("range", subscription("orders")),), **how)
    bench.stable(protocol_type="connect", group_id="other", **how)
    bench.enter(protocols=(("range", subscription("orders")),), **how)
    bench.coordinator.expire(bench.timers.now_ms() + 8 * DAY_MS)
    assert len(bench.committed()) == 2, "it rebalances"
    assert len(bench.committed("other")) == 1, "it is no group of consumers"
    joined = bench.join(only.member_id, protocols=(("range", subscription("orders")),), **how)
    assert joined.generation_id == 2
    bench.coordinator.expire(bench.timers.now_ms() + 8 * DAY_MS)
    assert len(bench.committed()) == 2, "it has no assignment yet"


def test_without_a_time_of_becoming_empty_the_commit_counts() -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    value = GroupMetadataValue(protocol_type="consumer", generation=3)
    record = (encode_key(GroupMetadataKey(group="g")), encode_value(value, 1))
    bench.log.partitions[bench.coordinator.partition_for("g")].append(record)
    bench.reload(2)
    assert bench.group().state_since_ms is None
    expire(bench, 6.9)
    assert bench.committed() == {HERE: 1}
    expire(bench, 0.1)
    assert bench.list().groups == []


def test_a_retention_of_its_own_counts() -> None:
    bench = Bench()
    bench.commit({HERE: 1}, version=4, retention_ms=DAY_MS)
    expire(bench, 0.9)
    assert bench.committed() == {HERE: 1}
    bench.reload(2)
    expire(bench, 0.1)
    assert bench.committed() == {}


def test_offsets_of_deleted_topics_go() -> None:
    bench = Bench()
    bench.commit({HERE: 1, ("gone", 0): 1, ("gone", 1): 1})
    bench.coordinator.on_topics_deleted(["gone"])
    bench.reload(2)
    assert bench.committed() == {HERE: 1}


def test_deletions_are_written_in_bounded_batches() -> None:
    bench = Bench()
    for n in range(3):
        bench.commit({("gone", 1_000 * n + m): 1 for m in range(1_000)})
    bench.log.instant = False
    bench.coordinator.on_topics_deleted(["gone"])
    assert [len(write.records) for write in bench.log.pending] == [1_000] * 3
