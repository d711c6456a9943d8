"""A worker's compaction: what it chooses, what it leaves alone, and a real broker with clients."""
from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import threading
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from fastbroker.partition.partition import Partition
from fastbroker.records.reader import iter_batches
from fastbroker.storage.checkpoints import read_offsets
from fastbroker.storage.compaction import cleaning
from fastbroker.storage.disk import Disk
from fastbroker.worker import compaction
from fastbroker.worker.compaction import Compaction
from fastbroker.worker.internal_topic import committed_batches
from fastbroker.worker.rounds import Rounds
from fastbroker.worker.throttle import Stopped, Throttle
from tests.broker_process import BrokerProcess, wait_until
from tests.handlers.bench import Bench


class Fixture:
    """A broker's parts, and its compaction on a loop that runs when told to."""

    def __init__(self, path: pathlib.Path) -> None:
        self.bench = Bench(path)
        self.loop = asyncio.new_event_loop()
        self.removed: list[str] = []
        self.failures: list[OSError] = []
        self.compaction = Compaction(
            self.loop, self.bench.broker, lambda _, name: self.removed.append(name),
            self.failures.append,
        )  # fmt: skip

    def filled(self, name: str = "t", **config: object) -> Partition:
        """A compacted topic with two segments: one that is closed, of three values of a key."""
        config = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": 0.1, **config}
        self.bench.create(name, **config)
        partition = self.bench.partition(name)
        for value in ("a", "b", "c"):
            self.bench.append(value, name=name)
        partition.log.roll(self.bench.timers.now_ms())
        self.bench.append("d", name=name)
        self.save()
        return partition

    def save(self) -> None:
        """Recovery points reach what was written."""
        for one in self.bench.log_dir.logs.values():
            if one.save_when_due():
                one.epochs.synced()

    def turn(self) -> bool:
        """Look once, and clean what is found."""
        self.save()

        async def once() -> bool:
            found = await self.compaction._dirtiest()
            return found is not None and await self.compaction.clean(*found)

        return self.loop.run_until_complete(once())

    def close(self) -> None:
        self.compaction.close()
        self.loop.close()


@pytest.fixture
def fixture(tmp_path: pathlib.Path):  # type: ignore[no-untyped-def]
    made = Fixture(tmp_path)
    yield made
    made.close()


def offsets(partition: Partition) -> list[int]:
    log = partition.log
    return [
        record.offset
        for batch in log.batches(log.log_start_offset, 1 << 20, log.log_end_offset)
        for record in batch.records()
    ]


def test_a_log_is_compacted_and_that_is_noted(fixture: Fixture) -> None:
    partition = fixture.filled()
    assert fixture.turn()
    assert offsets(partition) == [2]
    log_dir = fixture.bench.broker.log_dir
    path = os.path.join(log_dir.path, "cleaner-offset-checkpoint")
    assert read_offsets(Disk(), path) == {partition.name: 3}
    assert fixture.removed
    assert not fixture.turn(), "there is nothing new"


def test_a_topic_without_the_policy_is_left_alone(fixture: Fixture) -> None:
    partition = fixture.filled(cleanup_policy="delete")
    assert not fixture.turn()
    assert fixture.compaction.candidate(partition) is None


def test_a_damaged_batch_ends_it_with_one_line(
    fixture: Fixture, caplog: pytest.LogCaptureFixture
) -> None:
    partition = fixture.filled()
    segment = partition.log.segments[0]
    before = segment.read(0, segment.size)
    damaged = bytearray(before)
    damaged[segment.size // 2] ^= 1
    Disk().pwrite(segment.fd, damaged, 0)
    names = sorted(os.listdir(partition.log.directory))
    assert not fixture.turn()
    assert not fixture.turn()
    assert caplog.text.count("not compacted until the next start") == 1
    assert f"{segment.path}, the batch at {segment.size // 3}" in caplog.text
    assert sorted(os.listdir(partition.log.directory)) == names, "nothing is left of the attempt"
    assert segment.read(0, segment.size) == bytes(damaged)


class Full(Disk):
    """No write of a cleaning goes through."""

    number = errno.ENOSPC

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        if path.endswith(".cleaned"):
            raise OSError(self.number, os.strerror(self.number))
        return super().open(path, create=create, write=write)


def test_a_full_disk_puts_it_off(fixture: Fixture) -> None:
    partition = fixture.filled()
    log_dir = fixture.bench.broker.log_dir
    log_dir.disk = Full()
    assert not fixture.turn()
    assert not fixture.failures
    assert offsets(partition) == [0, 1, 2]
    log_dir.disk = Disk()
    assert fixture.turn()
    assert offsets(partition) == [2]


def test_a_disk_that_fails_is_told_of(fixture: Fixture) -> None:
    fixture.filled()
    fixture.bench.broker.log_dir.disk = broken = Full()
    broken.number = errno.EIO
    assert not fixture.turn()
    assert [error.errno for error in fixture.failures] == [errno.EIO]


@pytest.mark.parametrize("where", ["dirty_part", "plan"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_a_log_that_cannot_be_looked_at_ends_nothing(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    partition = fixture.filled()

    def broken(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(compaction if where == "dirty_part" else cleaning, where, broken)
        assert not fixture.turn()
    assert [error.errno for error in fixture.failures] == [number] * (number == errno.EIO)
    assert fixture.turn()
    assert offsets(partition) == [2]


def test_a_swap_waits_for_a_file_to_sync_its_names(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, bench, refused = fixture.filled(), fixture.bench, list[str]()
    sync = bench.log_dir.disk.sync_directory

    def scarce(path: str) -> None:
        if path == partition.log.directory and len(refused) % 2 == 0:
            refused.append(path)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        refused.append("")
        sync(path)

    async def pause(delay_ms: int) -> None:
        assert delay_ms == compaction.SYNC_AGAIN_MS

    monkeypatch.setattr(fixture.compaction, "_pause", pause)
    swap = fixture.compaction._swap

    async def swap_with_few_files(*args: Any) -> None:
        monkeypatch.setattr(bench.log_dir.disk, "sync_directory", scarce)
        await swap(*args)

    monkeypatch.setattr(fixture.compaction, "_swap", swap_with_few_files)
    assert fixture.turn()
    assert refused.count(partition.log.directory) == 3
    assert offsets(partition) == [2]
    assert not [name for name in os.listdir(partition.log.directory) if name.endswith(".swap")]


def test_nothing_is_swapped_once_the_directory_is_offline(fixture: Fixture) -> None:
    partition, log_dir = fixture.filled(), fixture.bench.log_dir
    write = log_dir.write_recovery_points

    def fail_meanwhile() -> None:
        write()
        log_dir.failure = OSError(errno.EIO, os.strerror(errno.EIO))

    log_dir.write_recovery_points = fail_meanwhile  # type: ignore[method-assign]
    assert not fixture.turn()
    assert [one.base_offset for one in partition.log.segments] == [0, 3]
    assert not [name for name in os.listdir(partition.log.directory) if name.endswith(".swap")]


def test_names_that_cannot_be_synced_are_the_end(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture.filled()

    async def full(_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fixture.compaction, "_sync", full)
    assert not fixture.turn()
    assert [error.errno for error in fixture.failures] == [errno.ENOSPC]


def test_what_retention_takes_meanwhile_is_let_go(fixture: Fixture) -> None:
    partition = fixture.filled(cleanup_policy="compact,delete")
    log, bench = partition.log, fixture.bench
    found = fixture.compaction.candidate(partition)
    assert found is not None
    write = bench.broker.log_dir.write_recovery_points

    def drop_and_write() -> None:
        """Retention comes between the rewriting and the swap."""
        log.advance_start(3)
        fixture.removed += log.retain(bench.timers.now_ms(), partition.high_watermark)
        write()

    bench.broker.log_dir.write_recovery_points = drop_and_write  # type: ignore[method-assign]
    assert not fixture.loop.run_until_complete(fixture.compaction.clean(partition, found))
    assert [one.base_offset for one in log.segments] == [3]
    left = os.listdir(log.directory)
    assert not [name for name in left if name.endswith((".cleaned", ".swap"))]


def test_a_log_is_not_closed_meanwhile(fixture: Fixture) -> None:
    partition, bench = fixture.filled(), fixture.bench
    found, log = fixture.compaction.candidate(partition), partition.log
    assert found is not None
    write = bench.log_dir.write_recovery_points
    rounds = Rounds(bench.broker, lambda _, name: fixture.removed.append(name), print)

    def become_idle_and_write() -> None:
        """Nobody uses it, and it is not to be compacted any more."""
        log.config.cleanup_policy = ("delete",)
        for _ in range(3):
            rounds.begin()
        write()

    bench.log_dir.write_recovery_points = become_idle_and_write  # type: ignore[method-assign]
    assert fixture.loop.run_until_complete(fixture.compaction.clean(partition, found))
    assert partition.opened is log
    assert offsets(partition) == [2]
    rounds.begin()
    rounds.begin()
    assert partition.opened is None
    assert offsets(partition) == [2]


def test_a_deleted_topic_is_let_go(fixture: Fixture) -> None:
    partition = fixture.filled()
    found = fixture.compaction.candidate(partition)
    assert found is not None
    fixture.bench.delete("t")
    assert not fixture.loop.run_until_complete(fixture.compaction.clean(partition, found))
    assert not fixture.bench.broker.log_dir.cleaned
    assert not fixture.compaction.uncleanable


def test_a_coordinator_reads_what_is_left(fixture: Fixture) -> None:
    """Gaps, and batches that have no record left, do not end its reading early."""
    partition, bench = fixture.filled(), fixture.bench
    for sequence in range(3):
        bench.append("e", producer_id=7, producer_epoch=0, base_sequence=sequence)
    bench.append("f")
    partition.log.roll(bench.timers.now_ms())
    bench.append("g", key=b"other")
    assert fixture.turn()
    chunks = list(committed_batches(partition))
    batches = [batch for chunk in chunks for batch in iter_batches(chunk)]
    found = [(one.header.base_offset, one.header.count) for one in batches]
    assert found == [(6, 0), (7, 1), (8, 1)]


def test_a_waiting_reader_looks_again(fixture: Fixture) -> None:
    partition = fixture.filled()
    woken: list[bool] = []
    partition.purgatory.await_data("reader", lambda: woken.append(True))
    assert fixture.turn()
    assert woken


def test_the_throttle_holds_its_rate_and_can_be_stopped() -> None:
    throttle = Throttle(lambda: 1e6)
    begun = time.monotonic()
    for _ in range(10):
        throttle(20_000)
    assert time.monotonic() - begun >= 0.19
    slow = Throttle(lambda: 1.0)
    threading.Timer(0.05, slow.stop).start()
    with pytest.raises(Stopped):
        slow(10**6)


@pytest.mark.slow
def test_a_topic_is_compacted_while_producers_and_readers_go_on(tmp_path: pathlib.Path) -> None:
    settings = [
        "log.cleaner.backoff.ms=50", "log.segment.bytes=1048576", "log.segment.delete.delay.ms=100",
        "log.flush.offset.checkpoint.interval.ms=200",
    ]  # fmt: skip
    keys, rounds = 200, 120
    with BrokerProcess(tmp_path, workers=1, settings=settings) as broker:
        at = {"bootstrap.servers": broker.bootstrap}
        config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
        admin = AdminClient(at)
        admin.create_topics([NewTopic("t", 1, 1, config=config)])["t"].result(10)
        producer = Producer({**at, "compression.type": "lz4", "linger.ms": 5})
        directory = next(tmp_path.glob("broker-*")) / "t-0"
        # The controller's answer does not wait for the worker to know of the topic.
        wait_until(lambda: is_led(admin, "t"), 10, "a leader")
        seen: list[str] = []
        over = threading.Event()

        def read_again_and_again() -> None:
            while not over.is_set():
                seen.append(read_all(at)[1])

        reader = threading.Thread(target=read_again_and_again)
        reader.start()
        last = {}
        for round_ in range(rounds):
            for key in range(keys):
                last[key] = value = b"%d:%d:" % (round_, key) + os.urandom(400)
                producer.produce("t", key=str(key), value=value)
            producer.flush(30)

        def first_is_cleaned() -> bool:
            path = directory.parent / "cleaner-offset-checkpoint"
            return path.exists() and int(path.read_text().split()[-1]) > keys * rounds // 2

        wait_until(first_is_cleaned, 20, "the cleaning of most of the log")
        wait_until(lambda: len(seen) > 2, 60, "some readings")
        over.set()
        reader.join(30)
        assert not [one for one in seen if one], "every reading came to its end"
        found, failed = read_all(at)
        assert not failed
        assert found == {str(key).encode(): value for key, value in last.items()}
        size = sum(file.stat().st_size for file in directory.glob("*.log"))
        assert size < keys * rounds * 400 / 2


def is_led(admin: AdminClient, topic: str) -> bool:
    """Whether the broker's metadata has a leader of its first partition."""
    found = admin.list_topics(topic, timeout=10).topics[topic]
    return found.error is None and 0 in found.partitions and found.partitions[0].leader >= 0


def read_all(at: dict[str, str]) -> tuple[dict[bytes, bytes], str]:
    """Key -> value from the first to what is the last now; and what went wrong."""
    consumer = Consumer({**at, "group.id": "g", "enable.auto.commit": False})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=10)
        consumer.assign([TopicPartition("t", 0, 0)])
        found: dict[bytes, bytes] = {}
        offset = -1
        deadline = time.monotonic() + 20
        while consumer.position([TopicPartition("t", 0)])[0].offset < end:
            if time.monotonic() > deadline:
                return found, f"at {offset} of {end}"
            for message in consumer.consume(500, 0.2):
                if message.error():
                    return found, str(message.error())
                if message.offset() <= offset:
                    return found, f"{message.offset()} after {offset}"
                offset = message.offset()
                found[message.key()] = message.value()
            if end == 0:
                break
        return found, ""
    finally:
        consumer.close()
