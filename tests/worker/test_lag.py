"""Where partitions stand, and what was committed, as a worker tells the gateway."""
from __future__ import annotations

import marshal
import pathlib
from array import array
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.metadata.image import PartitionImage, TopicImage
from fastbroker.metrics.samples import MISSING
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.record_time import NOTHING
from fastbroker.worker import lag
from fastbroker.worker.lag import Answer, Known, committed
from tests.group.bench import TOPICS, Bench
from tests.storage.compaction.cleanings import clean
from tests.storage.logs import NOW

TOPIC_ID = b"1" * 16
SECOND = 1000


class CountingDisk(Disk):
    """How often it was read, and which files were opened."""

    def __init__(self) -> None:
        self.reads = 0

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self.reads += 1
        return super().pread(fd, size, offset)


class World:
    """A broker's partitions, all of which it leads, and an answer after the other."""

    def __init__(self, path: pathlib.Path, count: int = 4, **config: Any) -> None:
        self.disk = CountingDisk()
        self.config = TopicConfig(**config)
        self.log_dir = LogDir(str(path / "broker"), disk=self.disk, node_id=1)
        self.log_dir.open()
        self.log_dir.join_cluster("c" * 22)
        self.partitions = {TopicPartition("t", n): self._partition(n) for n in range(count)}
        self.known: dict[Partition, Known] = {}
        self.answers = 0

    def _partition(self, number: int) -> Partition:
        name = TopicPartition("t", number)

        def opened() -> Log:
            return self.log_dir.open_log(name, TOPIC_ID, self.config, NOW)

        partition = Partition(
            name, TOPIC_ID, opened, broker_id=1, request_flush=lambda _: None
        )
        partition.lead(Leadership(1, 0, 0, (1,), (1,)))
        return partition

    def __getitem__(self, number: int) -> Partition:
        return self.partitions[TopicPartition("t", number)]

    def fill(self, number: int, count: int, *, key: bytes = b"k") -> None:
        """Records a second after each other, committed."""
        partition = self[number]
        for _ in range(count):
            at = NOW + partition.log.log_end_offset * SECOND
            batch = memoryview(build_batch([(key, b"v" * 50, (), at)]))
            partition.log.append(batch, leader_epoch=0, now_ms=at, produce_version=9)
        partition.log.flush()
        partition._advance()

    def close(self, number: int) -> None:
        partition = self[number]
        partition.log.close()
        self.log_dir.close_log(partition.name)
        partition.forget_log()

    def answer(self, offsets: dict[int, int]) -> dict[int, tuple[int, ...]]:
        """(start, end, first, last, size) by partition."""
        self.answers += 1
        broker = SimpleNamespace(
            partitions=self.partitions, log_dir=self.log_dir, broker_id=1,
            topic_config=lambda _: self.config,
        )
        answer = Answer(broker, self.known, self.answers)  # type: ignore[arg-type]
        question = [("t", array("i", offsets).tobytes(), array("q", offsets.values()).tobytes())]
        steps = [*answer.look(question)]
        assert len(steps) == len(offsets) // lag.ROWS_A_STEP
        assert answer.read() is None
        for _ in answer.settle():
            pass
        *columns, retentions = marshal.loads(answer.encode())
        assert len(retentions) == 1
        rows = zip(*[array("q", one) for one in columns], strict=True)
        return dict(zip(offsets, rows, strict=True))


def exact(start: int, end: int, offset: int) -> tuple[int, ...]:
    at = NOW + offset * SECOND
    return start, end, at, at, MISSING


@pytest.fixture
def world(tmp_path: pathlib.Path) -> World:
    return World(tmp_path)


def test_where_partitions_stand_and_since_when(world: World) -> None:
    world.fill(0, 10)
    world.fill(1, 10)
    world[1].delete_records(6)
    found = world.answer({0: 3, 1: 2, 2: 0, 3: -1, 9: 0})
    assert found[0] == exact(0, 10, 3)
    assert found[1] == exact(6, 10, 6), "what is deleted is not looked for"
    assert found[2] == (MISSING, 0, *NOTHING, MISSING), "nothing was ever written to it"
    assert found[9] == (MISSING,) * 5, "it is not there"
    assert world.answer({0: 10, 1: 99})[0] == (0, 10, *NOTHING, MISSING)
    assert not any(one.opened for one in (world[2], world[3]))


def test_only_the_leader_tells(world: World) -> None:
    world.fill(0, 3)
    world[0].lead(Leadership(2, 1, 1, (2, 1), (2,)))
    assert world.answer({0: 1})[0] == (MISSING,) * 5


def test_where_nothing_has_moved_nothing_is_read(world: World) -> None:
    for number in range(4):
        world.fill(number, 10)
    world.close(3)
    first = world.answer(dict.fromkeys(range(4), 5))
    reads = world.disk.reads
    assert world.answer(dict.fromkeys(range(4), 5)) == first
    assert world.disk.reads == reads
    world.fill(0, 1)
    assert world.answer({0: 5})[0] == exact(0, 11, 5), "an append changes no record before it"
    assert list(world.known) == [world[number] for number in range(4)]
    assert len(world.known[world[0]].times) == 1


def test_what_was_not_asked_for_again_is_forgotten(world: World) -> None:
    world.fill(0, 10)
    for offset in range(9):
        world.answer({0: offset})
    assert list(world.known[world[0]].times) == [8]


def test_markers_are_no_records_until_more_is_written(world: World) -> None:
    world.fill(0, 2)
    marker = EndTransactionMarker(7, 0, 0, True, 0)
    world[0].log.append_marker(marker, leader_epoch=0, now_ms=NOW)
    world[0].log.flush()
    world[0]._advance()
    assert world.answer({0: 2})[0] == (0, 3, *NOTHING, MISSING)
    assert world.answer({0: 2})[0] == (0, 3, *NOTHING, MISSING)
    world.fill(0, 1)
    assert world.answer({0: 2})[0] == exact(0, 4, 3)


def test_a_compaction_is_seen(tmp_path: pathlib.Path) -> None:
    world = World(
        tmp_path, 1, segment_bytes=2000, cleanup_policy=("compact",), min_cleanable_dirty_ratio=0.0
    )
    world.fill(0, 60)
    assert world.answer({0: 3})[0][2] == NOW + 3 * SECOND
    clean(world[0].log, now=NOW + 10**9)
    first = world.answer({0: 3})[0][2]
    assert first > NOW + 30 * SECOND, "the records of before are gone"
    world[0].log.unflushed.flushed_offset = world[0].log.log_end_offset
    world.close(0)
    assert world.answer({0: 3})[0][2] == first
    assert world[0].opened is None


def test_closed_logs_are_told_of_and_stay_closed(world: World) -> None:
    world.fill(0, 10)
    world[0].delete_records(4)
    world.close(0)
    assert world.answer({0: 2})[0] == exact(4, 10, 4)
    assert world.answer({0: 10})[0] == (MISSING, 10, *NOTHING, MISSING)
    assert world[0].opened is None
    world[0].delete_records(6)
    world.close(0)
    assert world.answer({0: 2})[0] == exact(6, 10, 6), "it was open in between"


def test_what_may_not_be_read_is_told_from_the_index(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, 4, index_interval_bytes=500)
    for number in range(4):
        world.fill(number, 50)
    monkeypatch.setattr(lag, "SEARCHES_MAX", 2)
    found = world.answer(dict.fromkeys(range(4), 20))
    assert [first == last for _, _, first, last, _ in found.values()] == [True, True, False, False]
    for _, _, first, last, _ in found.values():
        assert first <= NOW + 20 * SECOND <= last
    found = world.answer(dict.fromkeys(range(4), 20))
    assert all(one[2] == one[3] for one in found.values()), "the rest, the next time"
    world.close(3)
    monkeypatch.setattr(lag, "SEARCHES_MAX", 0)
    assert world.answer({3: 30})[3] == (0, 50, MISSING, MISSING, MISSING)


def test_bytes_are_told_where_retention_is_of_bytes(tmp_path: pathlib.Path) -> None:
    world = World(tmp_path, 2, retention_bytes=1000)
    world.fill(0, 10)
    world.fill(1, 10)
    size = world[0].log.size
    world.close(1)
    found = world.answer({0: 3, 1: 3})
    assert [one[4] for one in found.values()] == [size, size]


# ---- what was committed


def broker(bench: Bench, most: int = 10) -> Any:
    def partition(leader: int) -> PartitionImage:
        return PartitionImage((leader,), (leader,), leader, 0, 0)

    topics = {
        name: TopicImage(name, topic_id, {n: partition(1 + 1000 * (n % 2)) for n in range(3)})
        for name, topic_id in TOPICS.items()
    }
    return SimpleNamespace(
        has_groups=True, groups=bench.coordinator, image=SimpleNamespace(topics=topics),
        config={"fastbroker.metrics.groups.max": most},
    )  # fmt: skip


def told(answer: Iterator[Any]) -> Any:
    """What a generator of steps returns."""
    while True:
        try:
            next(answer)
        except StopIteration as end:
            return marshal.loads(end.value)


def test_groups_tell_all_partitions_of_topics_they_have_committed_on() -> None:
    bench = Bench()
    name = next(iter(TOPICS))
    bench.commit({(name, 2): 7, (name, 0): 5}, group_id="a")
    bench.log.complete()
    bench.join(group_id="b")
    topics, groups, untold = told(committed(broker(bench), b""))
    assert topics == {
        name: (array("i", [0, 1, 2]).tobytes(), array("i", [1, 1001, 1]).tobytes())
    }
    by_name = {group: (members, offsets) for group, members, offsets in groups}
    assert by_name["a"] == (0, [(name, array("q", [5, -1, 7]).tobytes())])
    assert by_name["b"][1] == []
    assert untold == 0


def test_groups_beyond_the_most_are_counted() -> None:
    bench = Bench()
    name = next(iter(TOPICS))
    for number in range(5):
        bench.commit({(name, 0): 1}, group_id=f"g{number}")
        bench.log.complete()
    _, groups, untold = told(committed(broker(bench, most=2), b""))
    assert (len(groups), untold) == (2, 3)


def test_an_offset_of_an_earlier_topic_of_that_name_is_none() -> None:
    bench = Bench()
    name = next(iter(TOPICS))
    bench.commit({(name, 0): 4}, version=10)
    bench.log.complete()
    one = broker(bench)
    assert told(committed(one, b""))[1][0][2], "it is told"
    one.image.topics[name] = one.image.topics[name]._replace(id=bytes([77]) * 16)
    assert told(committed(one, b""))[1][0][2] == []


def test_a_broker_without_groups_makes_no_coordinator() -> None:
    assert told(committed(SimpleNamespace(has_groups=False), b"")) == ({}, [], 0)  # type: ignore[arg-type]
