"""Records of consumer groups: what a reload finds, and what Kafka's tool makes of them."""
from __future__ import annotations

import json
import pathlib
import re
import subprocess
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.group.consumer import records
from fastbroker.protocol.group_records import (
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
)
from fastbroker.protocol.record_frames import encode_key, encode_value
from tests.apache_kafka import tools
from tests.group.consumer.bench import ConsumerBench


def everything(bench: ConsumerBench, group_id: str = "g") -> dict[str, Any]:
    """What is kept of a group, and what follows from it."""
    group = bench.consumer_group(group_id)
    return {
        "epochs": (group.epoch_kept, group.target_epoch_kept),
        "members": {
            one.member_id: (one.subscription, one.current, one.target)
            for one in group.members.values()
        },
        "static": group.static,
        "owners": group.owners,
        "topics": group.topics,
        "regexes": group.regexes,
        "resolved": group.resolved,
        "assignors": group.assignors,
        "classic": (group.classic_members, group.classic_protocols),
    }


def compacted(bench: ConsumerBench) -> None:
    """Keep the last record of each key, and no tombstones."""
    for records_of_one in bench.log.partitions.values():
        last = {key: at for at, (key, _) in enumerate(records_of_one)}
        records_of_one[:] = [
            (key, value)
            for at, (key, value) in enumerate(records_of_one)
            if last[key] == at and value is not None
        ]


def a_life(bench: ConsumerBench) -> None:
    """Members that come, go, wait for each other, and say all that can be said."""
    one = bench.consumer("m1", regex="ord.*")
    two = bench.consumer("m2", instance="i2", assignor="range")
    three = bench.consumer("m3", "clicks", "orders")
    for consumer in (one, two, three):
        consumer.join()
        bench.timers.advance(100)
    bench.settle(one, two, three)
    three.leave()
    four = bench.consumer("m4")
    four.join()
    one.beat()
    two.leave(for_a_while=True)


@pytest.mark.parametrize("compacts", [False, True])
def test_a_reload_finds_what_was(compacts: bool) -> None:
    bench = ConsumerBench()
    a_life(bench)
    before, described = everything(bench), bench.describe_consumers()
    if compacts:
        compacted(bench)
    bench.reload(2)
    assert everything(bench) == before
    after = bench.describe_consumers()
    described.members.sort(key=lambda member: member.member_id)
    after.members.sort(key=lambda member: member.member_id)
    assert after == described
    bench.timers.advance(44_000)
    assert len(bench.describe_consumers().members) == 3, "sessions begin anew"
    bench.timers.advance(2_000)
    assert bench.describe_consumers().group_state == "Empty"


def test_nothing_is_left_of_a_deleted_group() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1, regex="o.*")
    assert bench.delete("g").results[0].error_code == errors.NonEmptyGroup.code
    one.leave()
    bench.commit({("orders", 0): 3}, group_id="g")
    assert bench.delete("g").results[0].error_code == 0
    assert bench.describe_consumers().error_code == errors.GroupIdNotFound.code
    compacted(bench)
    assert not any(bench.log.partitions.values())
    bench.reload(2)
    assert bench.list().groups == []


def test_an_empty_group_is_forgotten_when_its_offsets_are() -> None:
    bench = ConsumerBench(offsets_retention_minutes=1)
    (one,) = bench.consumers(1)
    bench.commit({("orders", 0): 3}, member_id="m0", generation=one.epoch)
    bench.timers.advance(30_000)
    one.leave()
    bench.coordinator.expire(bench.timers.now_ms())
    assert bench.committed() == {("orders", 0): 3}
    bench.timers.advance(40_000)
    bench.coordinator.expire(bench.timers.now_ms())
    assert bench.list().groups == []


def test_what_is_written_after_an_undone_change_is_applied_as_a_reload_would() -> None:
    bench = ConsumerBench(offsets_topic_num_partitions=1)
    bench.consumers(1)
    bench.log.instant = False
    bench.join_as("m2")
    bench.join_as("m3")
    bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    bench.log.complete()
    now = everything(bench)
    assert "m2" not in now["members"]
    assert "m3" in now["members"]
    bench.log.instant = True
    bench.reload(2)
    found = everything(bench)
    assert found == now


def test_members_whose_own_record_is_gone_are_dropped() -> None:
    bench = ConsumerBench(offsets_topic_num_partitions=1)
    bench.consumers(2)
    key, _ = records.subscription_record("g", "m1", None)
    bench.log.partitions[0] = [one for one in bench.log.partitions[0] if one[0] != key]
    bench.reload(2)
    assert [m.member_id for m in bench.describe_consumers().members] == ["m0"]


def test_topics_that_kafka_4_0_kept_are_deleted_with_the_next_epoch() -> None:
    bench = ConsumerBench(offsets_topic_num_partitions=1)
    bench.consumers(1)
    key = encode_key(ConsumerGroupPartitionMetadataKey(group_id="g"))
    value = encode_value(ConsumerGroupPartitionMetadataValue(), 0)
    bench.log.partitions[0].append((key, value))
    bench.reload(2)
    bench.join_as("m9")
    assert (key, None) in bench.log.partitions[0]


def test_a_heartbeat_that_changes_nothing_writes_nothing() -> None:
    bench = ConsumerBench()
    one, two = bench.consumers(2)
    before = bench.log.partitions
    written = {number: len(found) for number, found in before.items()}
    for _ in range(10):
        bench.timers.advance(5_000)
        one.beat()
        two.beat()
    assert {number: len(found) for number, found in before.items()} == written


@pytest.mark.kafka
def test_kafkas_dump_reads_them(tmp_path: pathlib.Path) -> None:
    bench = ConsumerBench(offsets_topic_num_partitions=1)
    a_life(bench)
    bench.consumer("m9").join()
    segment = tmp_path / "00000000000000000000.log"
    segment.write_bytes(b"".join(bench.log.batches(0)))
    args = ["--offsets-decoder", "--files", str(segment)]
    dumped = tools.run("kafka-dump-log", args, stdout=subprocess.PIPE, check=True).stdout
    found = [
        (json.loads(key), None if value == "<DELETE>" else json.loads(value))
        for key, value in re.findall(r"key: (\{.*\}) payload: (.*)$", dumped, re.M)
    ]
    assert len(found) == len(bench.log.partitions[0])
    last = {key["type"]: value for key, value in found if value is not None}
    assert set(last) == {"3", "5", "6", "7", "8", "16"}
    assert last["3"]["data"]["epoch"] == bench.consumer_group().epoch
    assert last["16"]["data"]["topics"] == ["orders"]
    assert last["8"]["data"]["assignedPartitions"] is not None
    assert {key["type"] for key, value in found if value is None} == {"5", "7", "8"}
