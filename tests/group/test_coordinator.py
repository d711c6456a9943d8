"""Shards: which broker serves a group, loading, reloading; listing, describing, deleting."""
from __future__ import annotations

import logging

import pytest

from fastbroker import errors
from fastbroker.coordination import topic_shards
from fastbroker.group.classic.state import State
from fastbroker.protocol.group_records import GroupMetadataKey, GroupMetadataValue, MemberMetadata
from fastbroker.protocol.record_frames import encode_key, encode_value
from fastbroker.records.builder import build_batch
from tests.group.bench import Bench

HERE = ("orders", 0)


def test_the_partition_is_kafkas() -> None:
    bench = Bench(offsets_topic_num_partitions=50)
    assert bench.coordinator.partition_for("polygenelubricants") == 0
    assert bench.coordinator.partition_for("test-group") == 12
    assert bench.coordinator.partition_for("billing") == 9


def test_a_group_of_a_partition_led_elsewhere() -> None:
    bench = Bench(elect=False)
    assert bench.join().error_code == 16
    assert bench.sync("m", 1).error_code == 16
    assert bench.heartbeat("m", 1) == 16
    assert bench.leave(("m", None)).error_code == 16
    assert bench.commit({HERE: 1}).topics[0].partitions[0].error_code == 16
    assert bench.delete_offsets(HERE).error_code == 16
    assert bench.describe().error_code == 16
    assert bench.delete("g").results[0].error_code == 16
    assert bench.list().groups == []


def test_a_group_that_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_shards, "LOAD_BYTES_A_TURN", 1)
    before = Bench()
    before.commit({HERE: 1})
    before.commit({HERE: 2})
    after = Bench(elect=False)
    partition = after.coordinator.partition_for("g")
    done = after.coordinator.elected(partition, 1, before.log.batches(partition))
    assert not done.done
    assert after.join().error_code == 14
    assert after.sync("m", 1).error_code == 14
    assert after.heartbeat("m", 1) == 0, "it stays a member if it is one"
    assert after.commit({HERE: 1}).topics[0].partitions[0].error_code == 14
    assert after.list().error_code == 14
    assert after.describe().error_code == 14
    after.timers.advance(0)
    assert done.done
    assert after.committed() == {HERE: 2}


def test_resigning_ends_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_shards, "LOAD_BYTES_A_TURN", 1)
    before = Bench()
    before.commit({HERE: 1})
    before.commit({HERE: 2})
    after = Bench(elect=False)
    partition = after.coordinator.partition_for("g")
    done = after.coordinator.elected(partition, 1, before.log.batches(partition))
    after.coordinator.resigned(partition)
    after.timers.advance(0)
    assert done.done
    assert after.join().error_code == 16


def test_a_log_that_cannot_be_read_is_not_served(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(elect=False)
    partition = bench.coordinator.partition_for("g")
    good = build_batch([(b"\0\2\0\1g", None, (), 0)])
    assert bench.coordinator.elected(partition, 1, [good[:-1] + b"!"]).done
    assert bench.join().error_code == 16
    assert "cannot be read" in caplog.text


def test_records_of_others_and_broken_ones_are_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    records = bench.log.partitions[bench.coordinator.partition_for("g")]
    records[:0] = [(b"\0\3\0\1g", b"\0\0\0\0\0\1\0"), (b"\0\2\0", b""), (b"\0\2\0\1x", b"\0\x63")]
    bench.reload(2)
    assert bench.committed() == {HERE: 1}
    assert caplog.text.count("passed over") == 2


def test_an_epoch_not_newer_changes_nothing() -> None:
    bench = Bench()
    bench.stable()
    bench.elect(1)
    assert bench.group().state is State.STABLE


def test_who_waits_is_sent_elsewhere_by_a_resignation() -> None:
    bench = Bench()
    (leader,) = bench.stable()
    newcomer = bench.enter()
    bench.coordinator.resigned(bench.coordinator.partition_for("g"))
    assert newcomer.result().error_code == 16
    assert bench.heartbeat(leader.member_id, 1) == 16
    assert bench.timers.waiting == 0


def test_an_assignment_awaited_at_a_resignation() -> None:
    bench = Bench()
    joined = bench.enter()
    bench.timers.advance(20)
    bench.log.instant = False
    synced = bench.sync(joined.result().member_id, 1, {})
    bench.coordinator.resigned(bench.coordinator.partition_for("g"))
    assert synced.result().error_code == 16
    bench.log.complete()


def test_a_group_survives_a_reload() -> None:
    bench = Bench()
    waiting = [bench.join(instance="i1"), bench.enter()]
    bench.timers.advance(200)
    joined = [one.result() for one in waiting]
    bench.assign(joined)
    first, second = joined
    bench.commit({HERE: 9}, member_id=first.member_id, generation=1, instance="i1")
    bench.reload(2)
    assert bench.committed() == {HERE: 9}
    assert bench.heartbeat(first.member_id, 1, "i1") == 0
    assert bench.sync(second.member_id, 1).assignment == second.member_id.encode()
    group = bench.group()
    assert (group.roster.leader, group.protocol_name) == (first.member_id, "range")
    bench.timers.advance(10_000)
    assert bench.heartbeat(first.member_id, 1, "i1") == 25, "sessions started with the load"


def test_a_loaded_group_over_its_limit_is_rebalanced() -> None:
    bench = Bench()
    bench.stable(3)
    smaller = Bench(log=bench.log, group_max_size=2)
    assert smaller.group().state is State.PREPARING


def test_version_0_of_a_group_record_is_read() -> None:
    bench = Bench()
    value = GroupMetadataValue(
        protocol_type="consumer",
        generation=3,
        protocol="range",
        leader="m",
        members=[MemberMetadata(member_id="m", session_timeout=6_000, assignment=b"a")],
    )
    record = (encode_key(GroupMetadataKey(group="g")), encode_value(value, 0))
    bench.log.partitions[bench.coordinator.partition_for("g")] = [record]
    bench.reload(2)
    assert bench.sync("m", 3).assignment == b"a"
    assert bench.group().roster.rebalance_timeout_ms == 6_000


# Listing, describing, deleting.


def test_list() -> None:
    bench = Bench()
    bench.stable()
    bench.commit({HERE: 1}, group_id="simple")
    stable, simple = sorted(bench.list().groups, key=lambda one: one.group_id)
    assert (stable.group_id, stable.protocol_type) == ("g", "consumer")
    assert (stable.group_state, stable.group_type) == ("Stable", "classic")
    assert (simple.protocol_type, simple.group_state) == ("", "Empty")
    assert bench.list(states=("stable",)).groups == [stable]
    assert bench.list(types=("Classic",), states=("EMPTY",)).groups == [simple]
    assert bench.list(types=("share",)).groups == []


def test_describe() -> None:
    bench = Bench()
    (only,) = bench.stable()
    told = bench.describe()
    (member,) = told.members
    assert (told.group_state, told.protocol_type, told.protocol_data) == (
        "Stable", "consumer", "range",
    )  # fmt: skip
    assert (member.member_id, member.client_id, member.client_host) == (
        only.member_id, "c", "/127.0.0.1",
    )  # fmt: skip
    assert (member.member_metadata, member.member_assignment) == (b"m", only.member_id.encode())
    bench.enter()
    told = bench.describe()
    assert (told.group_state, told.protocol_data) == ("PreparingRebalance", "")
    assert [m.member_metadata for m in told.members] == [b"", b""]
    assert [m.member_assignment for m in told.members] == [only.member_id.encode(), b""]
    assert (bench.describe("none").error_code, bench.describe("none").group_state) == (69, "Dead")
    assert (bench.describe("none", 5).error_code, bench.describe("none", 5).group_state) == (
        0, "Dead",
    )  # fmt: skip
    assert "check its name" in bench.describe("none").error_message


def test_describe_says_why_it_cannot() -> None:
    told = Bench(elect=False).describe()
    assert (told.error_code, "led by another broker" in told.error_message) == (16, True)


def test_delete() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.commit({HERE: 1}, member_id=only.member_id, generation=1)
    bench.commit({HERE: 1}, group_id="simple")
    codes = [one.error_code for one in bench.delete("g", "simple", "none").results]
    assert codes == [68, 0, 69]
    bench.leave((only.member_id, None))
    assert bench.delete("g").results[0].error_code == 0
    for epoch in 2, 3:
        assert bench.list().groups == []
        assert bench.committed() == {}
        bench.reload(epoch)


def test_a_group_being_deleted_takes_no_requests() -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    bench.log.instant = False
    answer = bench.delete("g")
    assert bench.join().error_code == 15
    assert bench.commit({HERE: 1}).topics[0].partitions[0].error_code == 15
    assert bench.delete("g").results[0].error_code == 69
    bench.coordinator.expire(bench.timers.now_ms() + 10**10)
    bench.log.fail(errors.NotEnoughReplicas())
    assert answer.result().results[0].error_code == 15
    assert bench.committed() == {HERE: 1}
    assert bench.join().error_code == 79


def test_a_commit_on_its_way_outlives_a_deletion_as_in_the_log() -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    bench.log.instant = False
    bench.commit({HERE: 2, ("clicks", 0): 1})
    bench.delete("g")
    bench.log.complete()
    for epoch in 2, 3:
        assert bench.committed() == {("clicks", 0): 1}
        assert len(bench.list().groups) == 1
        bench.reload(epoch)


def test_loading_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tests.group"):
        bench = Bench()
        assert "serving" not in caplog.text  # nothing to say of fifty empty partitions
        bench.stable()
        bench.reload(2)
    assert ": serving 1 groups" in caplog.text


def test_a_group_belongs_to_a_partition_that_the_topic_has() -> None:
    """offsets.topic.num.partitions may be changed after the topic was made."""
    bench = Bench(offsets_topic_num_partitions=50)
    before = bench.coordinator.partition_for("some group")
    bench.coordinator.topic_has(3)
    assert 0 <= bench.coordinator.partition_for("some group") < 3
    bench.coordinator.topic_has(50)
    assert bench.coordinator.partition_for("some group") == before
