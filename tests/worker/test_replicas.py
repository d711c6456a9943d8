"""Partitions follow the image: opened, led, configured, dropped."""
from __future__ import annotations

import errno
import os
import pathlib

import pytest

from fastbroker.errors import KafkaStorageError, NotLeaderOrFollower
from fastbroker.handlers.context import OFFSETS_TOPIC
from fastbroker.metadata.image import BROKER, TOPIC
from fastbroker.model import TopicPartition
from fastbroker.protocol.metadata_records import (
    ConfigRecord,
    PartitionChangeRecord,
    PartitionRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from fastbroker.protocol.schema import Struct
from fastbroker.storage import opening
from fastbroker.storage.damage import Damaged
from fastbroker.worker.replicas import OPEN_AGAIN_MS
from tests.handlers.bench import ELSEWHERE, ME, Bench


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def config(kind: int, resource: str, name: str, value: str | None) -> ConfigRecord:
    return ConfigRecord(resource_type=kind, resource_name=resource, name=name, value=value)


def test_partitions_with_a_replica_here_are_known(bench: Bench) -> None:
    bench.create("mine", partitions=2)
    bench.create("theirs", leader=ELSEWHERE)
    assert sorted(bench.broker.partitions) == [("mine", 0), ("mine", 1)]
    assert bench.partition("mine").is_leader
    assert not bench.log_dir.logs, "nobody needs them yet"
    bench.append("a", name="mine")
    assert [name for name in os.listdir(bench.log_dir.path) if name[-2] == "-"] == ["mine-0"]


def test_a_changed_partition_is_led_in_its_epoch(bench: Bench) -> None:
    bench.create()
    bench.elect(ME)
    leadership = bench.partition().leadership
    assert (leadership.leader, leadership.leader_epoch, leadership.partition_epoch) == (ME, 2, 0)
    bench.elect(-1)
    assert not bench.partition().is_leader


def test_a_removed_topic_is_put_aside_and_its_files_go_later(bench: Bench) -> None:
    bench.create(partitions=2, file_delete_delay_ms=5)
    directories = [bench.partition("t", n).log.directory for n in (0, 1)]
    for number in (0, 1):
        bench.append("a", number=number)
    bench.delete()
    assert not bench.broker.partitions
    assert not bench.log_dir.logs
    assert len(bench.removed) == 2
    for old, new in zip(directories, bench.removed, strict=True):
        assert new.startswith(old + ".")
        assert new.endswith("-delete")
        assert os.path.isdir(new)
        assert not os.path.exists(old)


def test_a_topic_made_anew_in_one_step_has_a_new_log(bench: Bench) -> None:
    old_id = bench.create(segment_bytes=2_000_000)
    bench.append("old")
    old = bench.partition()
    new_id = b"n" * 16
    records: list[Struct] = [
        RemoveTopicRecord(topic_id=old_id),
        TopicRecord(name="t", topic_id=new_id),
        PartitionRecord(
            partition_id=0, topic_id=new_id, replicas=[ME], isr=[ME], leader=ME, leader_epoch=0,
            directories=[bytes(16)],
        ),
    ]  # fmt: skip
    bench.apply(*records)
    made = bench.partition()
    assert made is not old
    assert old.log.is_gone
    assert (made.topic_id, made.high_watermark, made.log.log_end_offset) == (new_id, 0, 0)
    assert made.log.config.segment_bytes == 2**30, "overrides went with the old one"


def test_overrides_take_effect_and_go(bench: Bench) -> None:
    bench.create()
    log = bench.partition().log
    bench.apply(config(TOPIC, "t", "segment.bytes", "1048576"))
    assert log.config.segment_bytes == 1048576
    bench.apply(config(BROKER, "", "log.segment.bytes", "2097152"))
    assert log.config.segment_bytes == 1048576
    bench.apply(config(TOPIC, "t", "segment.bytes", None))
    assert log.config.segment_bytes == 2097152
    bench.apply(config(BROKER, str(ME), "log.segment.bytes", "3145728"))
    assert log.config.segment_bytes == 3145728, "this broker's own wins over that of all"
    bench.create("later")
    assert bench.partition("later").log.config.segment_bytes == 3145728


def test_a_replica_taken_away_is_dropped(bench: Bench) -> None:
    topic_id = bench.create()
    bench.append("a")
    bench.apply(
        PartitionChangeRecord(
            partition_id=0, topic_id=topic_id, replicas=[ELSEWHERE], isr=[ELSEWHERE],
            leader=ELSEWHERE,
        )
    )  # fmt: skip
    assert not bench.broker.partitions
    assert len(bench.removed) == 1


def test_a_directory_that_cannot_be_renamed_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create()
    bench.append("a")

    def broken(*_: object) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(bench.log_dir.disk, "rename", broken)
    bench.delete()
    assert not bench.broker.partitions
    assert not bench.removed


def test_a_log_in_an_offline_directory_promises_nothing(bench: Bench) -> None:
    bench.log_dir.failure = OSError("EIO")
    bench.create()
    with pytest.raises(KafkaStorageError):
        bench.partition().check_leader()


@pytest.mark.parametrize("passes", [False, True])
def test_a_log_that_cannot_be_opened_is_not_tried_with_each_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, passes: bool
) -> None:
    tried = 0

    def broken(*_: object) -> None:
        nonlocal tried
        tried += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) if passes else Damaged("a byte")

    bench.create()
    with monkeypatch.context() as patch:
        patch.setattr(opening, "find_segments", broken)
        for _ in range(3):
            with pytest.raises(KafkaStorageError) as told:
                bench.append("a")
            assert "open files" in str(told.value) if passes else "a byte" in str(told.value)
        assert tried == 1
        bench.timers.advance(OPEN_AGAIN_MS)
        with pytest.raises(KafkaStorageError):
            bench.append("a")
        assert tried == (2 if passes else 1)
    bench.timers.advance(OPEN_AGAIN_MS)
    if passes:
        bench.append("a")
    else:
        with pytest.raises(KafkaStorageError):
            bench.append("a")
        bench.delete()
        bench.create()
        bench.append("a")


def test_a_dropped_partition_opens_no_log_of_that_name(bench: Bench) -> None:
    bench.create()
    old = bench.partition()
    bench.delete()
    bench.create()
    bench.append("new")
    with pytest.raises(NotLeaderOrFollower):
        _ = old.high_watermark
    assert bench.partition().log.log_end_offset == 1
    assert not [name for name in os.listdir(bench.log_dir.path) if name.endswith("-stray")]


def test_a_directory_of_an_older_topic_of_that_name_is_kept_as_a_stray(bench: Bench) -> None:
    bench.create()
    bench.append("old")
    bench.flush()
    directory = bench.partition().log.directory
    del bench.broker.partitions[TopicPartition("t", 0)]
    bench.log_dir.logs.clear()
    topic_id = bench.image.topics["t"].id
    bench.apply(RemoveTopicRecord(topic_id=topic_id))
    bench.create()
    assert bench.partition().log.log_end_offset == 0
    names = os.listdir(os.path.dirname(directory))
    assert [name for name in names if name.endswith("-stray")]


def test_the_coordinator_hears_of_its_partitions(bench: Bench) -> None:
    heard: list[tuple[str, int]] = []
    groups = bench.broker.groups
    groups.elected = lambda n, epoch, batches: heard.append(("elected", n))  # type: ignore
    groups.resigned = lambda n: heard.append(("resigned", n))  # type: ignore
    bench.create(OFFSETS_TOPIC, partitions=2)
    assert heard == [("elected", 0), ("elected", 1)]
    bench.elect(ELSEWHERE, OFFSETS_TOPIC, 1)
    assert heard[2:] == [("resigned", 1)]
    bench.elect(ME, OFFSETS_TOPIC, 1)
    assert heard[3:] == [("elected", 1)]
    bench.delete(OFFSETS_TOPIC)
    assert heard[4:] == [("resigned", 0), ("resigned", 1)]


def test_consumer_groups_hear_of_topics_but_not_of_their_leaders(bench: Bench) -> None:
    heard: list[tuple[set[str], set[str]]] = []
    bench.broker.groups.on_topics_changed = lambda names, others: heard.append(  # type: ignore
        (names, others)
    )
    first = bench.create("a", partitions=2)
    assert heard.pop() == ({"a"}, {"a"})
    bench.elect(ELSEWHERE, "a")
    assert not heard
    more = PartitionRecord(
        partition_id=2, topic_id=first, replicas=[ME], isr=[ME], leader=ME, leader_epoch=0,
        directories=[bytes(16)],
    )  # fmt: skip
    bench.apply(more)
    assert heard.pop() == ({"a"}, set())
    again = TopicRecord(name="a", topic_id=b"n" * 16)
    bench.apply(RemoveTopicRecord(topic_id=first), again)
    assert heard.pop() == ({"a"}, {"a"})
    bench.delete("a")
    assert heard.pop() == ({"a"}, {"a"})
