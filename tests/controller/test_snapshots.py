"""Snapshots of a controller: when they are written, and what a start makes of them."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Iterator

import pytest
import uvloop

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig, ConfigError
from fastbroker.controller.home import Home
from fastbroker.controller.node import Node
from fastbroker.controller.snapshots import fetch_snapshot
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import OffsetAndEpoch
from fastbroker.protocol.messages.fetch_snapshot import FetchSnapshotRequest
from fastbroker.protocol.metadata_records import ProducerIdsRecord, TopicRecord
from fastbroker.protocol.record_frames import decode_metadata_batch
from fastbroker.raft import messages as m
from fastbroker.raft.snapshot import SnapshotReader, id_of
from fastbroker.storage.disk import Disk
from tests.apache_kafka import tools
from tests.storage.full_disk import FullDisk

EAGER = {"metadata.log.max.record.bytes.between.snapshots": "1"}


class Bench:
    """Lives of a controller in one directory."""

    def __init__(self, path: pathlib.Path) -> None:
        self.disk = FullDisk()
        self.path = path / "controller-1" / "__cluster_metadata-0"
        self.data_dir = path
        self.count = 0
        self.is_up = False
        self.start()

    def start(self, **settings: str) -> None:
        self.loop = uvloop.new_event_loop()
        config = BrokerConfig({"log.dirs": str(self.data_dir)} | EAGER | settings)
        home = Home(config, self.disk)
        self.node = Node(self.loop, home, home.identity(), fatal=pytest.fail)
        self.node.start()
        self.is_up = True

    def stop(self) -> None:
        if self.is_up:
            self.node.close()
        self.loop.close()
        self.is_up = False

    def restart(self, **settings: str) -> None:
        self.stop()
        self.start(**settings)

    def change(self) -> None:
        """A topic more."""
        self.count += 1
        name, topic_id = f"t{self.count}", self.count.to_bytes(16, "big")
        self.node.propose([TopicRecord(name=name, topic_id=topic_id)])
        self.node._flush()

    def look(self) -> None:
        """The controller looks whether a snapshot is due; return once it is written, if so."""
        self.node._snapshot_when_due()
        deadline = time.monotonic() + 5
        while self.node.snapshots._is_writing:
            assert time.monotonic() < deadline
            self.loop.run_until_complete(asyncio.sleep(0.001))

    def files(self) -> list[OffsetAndEpoch]:
        return sorted(one for one in map(id_of, Disk().list(str(self.path))) if one is not None)

    def fetch(self, offset: int) -> m.Answer:
        answers: list[m.Answer] = []
        self.node.answer = answers.append
        self.node.step(m.Fetch("f", m.ReplicaKey(1, bytes(16)), offset, -1, -1, 0))
        return answers[0]


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.stop()


def test_a_start_reads_the_snapshot_and_what_is_behind_it(bench: Bench) -> None:
    bench.change()
    bench.look()
    end = bench.node.quorum.log_end_offset
    assert bench.files() == [OffsetAndEpoch(end, 1)]
    bench.change()
    before = bench.node.image
    bench.restart()
    assert bench.node.image._replace(offset=0, epoch=0) == before._replace(offset=0, epoch=0)
    assert 0 < bench.node.snapshots.bytes_since < bench.node.log.size / 2
    # Without the snapshot the log says the same.
    for file in bench.path.glob("*.checkpoint"):
        file.unlink()
    bench.restart()
    assert bench.node.image.topics == before.topics


def test_one_is_due_after_so_many_bytes_or_so_long(bench: Bench) -> None:
    rarely = {"metadata.log.max.record.bytes.between.snapshots": "1000"}
    bench.restart(**rarely | {"metadata.log.max.snapshot.interval.ms": "0"})
    bench.change()
    bench.look()
    assert not bench.files()
    while bench.node.snapshots.bytes_since < 1000:
        bench.change()
    bench.look()
    assert len(bench.files()) == 1
    assert bench.node.snapshots.bytes_since == 0
    bench.restart(**rarely | {"metadata.log.max.snapshot.interval.ms": "60000"})
    snapshots = bench.node.snapshots
    now = bench.node._monotonic_ms()
    assert not snapshots.is_due(now)
    assert snapshots.is_due(now + 60_000)


def test_what_is_not_committed_is_in_no_snapshot(bench: Bench) -> None:
    bench.node.propose([ProducerIdsRecord(broker_id=1, next_producer_id=1000)])
    bench.look()
    assert not bench.files()
    bench.node._flush()
    bench.look()
    assert len(bench.files()) == 1


def test_two_are_kept_and_a_damaged_one_is_passed_over(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        bench.change()
        bench.look()
    end = bench.node.quorum.log_end_offset
    assert bench.files() == [OffsetAndEpoch(end - 1, 1), OffsetAndEpoch(end, 1)]
    newest = max(bench.path.glob("*.checkpoint"))
    for damage in (newest.read_bytes()[:-1], b"", b"\xff" * 200):
        newest.write_bytes(damage)
        caplog.clear()
        bench.restart()
        assert newest.name in caplog.text
        assert list(bench.node.image.topics) == ["t1", "t2", "t3"]
        assert bench.node.quorum.snapshot == OffsetAndEpoch(end - 1, 1)


def test_segments_that_snapshots_stand_for_go(bench: Bench) -> None:
    bench.change()
    bench.node.log.roll(0)
    bench.change()
    bench.look()
    assert bench.node.quorum.log_start_offset == 0  # one snapshot may be damaged
    bench.change()
    bench.look()
    start = bench.node.quorum.log_start_offset
    assert start == bench.node.log.log_start_offset > 0
    assert len(list(bench.path.glob("*.log"))) == 1
    assert bench.fetch(start - 1).snapshot == bench.fetch(0).snapshot == bench.files()[-1]
    assert bench.fetch(start).snapshot is None
    bench.restart()
    assert list(bench.node.image.topics) == ["t1", "t2", "t3"]
    assert bench.node.quorum.log_start_offset == start
    # Now they are needed.
    bench.stop()
    for file in bench.path.glob("*.checkpoint"):
        file.unlink()
    with pytest.raises(ConfigError, match="restore it from a backup"):
        bench.start()


def test_a_log_that_ends_before_its_snapshot_is_refused(bench: Bench) -> None:
    bench.change()
    bench.look()
    bench.stop()
    for file in (*bench.path.glob("*.log"), *bench.path.glob("*index")):
        file.unlink()
    with pytest.raises(ConfigError, match="restore it from a backup"):
        bench.start()


def test_on_a_full_disk_there_is_none_until_later(bench: Bench) -> None:
    bench.change()
    bench.disk.is_full = True
    bench.look()
    assert not list(bench.path.glob("*.checkpoint*"))
    bench.disk.is_full = False
    bench.look()
    assert len(bench.files()) == 1


def test_what_a_crash_left_half_written_is_removed(bench: Bench) -> None:
    left = bench.path / "00000000000000000009-0000000001.checkpoint.tmp"
    left.write_bytes(b"x")
    bench.restart()
    assert not left.exists()


def request(snapshot: OffsetAndEpoch, *, position: int = 0, **fields: int) -> FetchSnapshotRequest:
    Topic = FetchSnapshotRequest.TopicSnapshot
    Partition = Topic.PartitionSnapshot
    partition = Partition(
        partition=0,
        current_leader_epoch=fields.get("current_leader_epoch", -1),
        snapshot_id=Partition.SnapshotId(end_offset=snapshot.offset, epoch=snapshot.epoch),
        position=position,
    )
    return FetchSnapshotRequest(
        max_bytes=fields.get("max_bytes", 2**31 - 1),
        topics=[Topic(name="__cluster_metadata", partitions=[partition])],
    )


def written(bench: Bench) -> OffsetAndEpoch:
    """A snapshot of a change."""
    bench.change()
    bench.look()
    newest = bench.node.snapshots.newest
    assert newest is not None
    return newest


def test_it_is_fetched_in_pieces(bench: Bench) -> None:
    newest = written(bench)
    snapshots, state = bench.node.snapshots, bench.node.quorum.state
    reader, delta = SnapshotReader(), MetadataDelta(MetadataImage.empty())
    while not reader.is_whole:
        asked = request(newest, position=reader.size, max_bytes=50)
        [topic] = fetch_snapshot(snapshots, state, asked).topics
        [piece] = topic.partitions
        assert (piece.error_code, piece.position) == (0, reader.size)
        assert piece.current_leader is not None
        assert piece.current_leader.leader_id == 1
        for batch in reader.feed(piece.unaligned_records):
            delta.replay_all(decode_metadata_batch(batch.body(), batch.header.count))
    assert reader.size == piece.size
    assert delta.image(0, 0) == bench.node.image._replace(offset=0, epoch=0)


def test_what_cannot_be_fetched(bench: Bench) -> None:
    newest = written(bench)
    snapshots, state = bench.node.snapshots, bench.node.quorum.state
    other = request(newest)
    other.topics[0].name = "t"
    for asked, error in (
        (request(OffsetAndEpoch(newest.offset + 1, 1)), errors.SnapshotNotFound),
        (request(newest, position=-1), errors.PositionOutOfRange),
        (request(newest, position=10**6), errors.PositionOutOfRange),
        (request(newest, current_leader_epoch=0), errors.FencedLeaderEpoch),
        (request(newest, current_leader_epoch=2), errors.UnknownLeaderEpoch),
        (other, errors.UnknownTopicOrPartition),
    ):
        [topic] = fetch_snapshot(snapshots, state, asked).topics
        assert topic.partitions[0].error_code == error.code
    with pytest.raises(errors.InvalidRequest):
        fetch_snapshot(snapshots, state, FetchSnapshotRequest(topics=[]))


@pytest.mark.kafka
def test_kafka_s_tool_reads_it(bench: Bench) -> None:
    bench.change()
    bench.look()
    [file] = bench.path.glob("*.checkpoint")
    arguments = ["--cluster-metadata-decoder", "--files", str(file)]
    text = tools.run("kafka-dump-log", arguments, capture_output=True).stdout
    for said in ('SnapshotHeader {"version":0', "SnapshotFooter", '"type":"TOPIC_RECORD"'):
        assert said in text, text
    assert "isvalid: false" not in text
