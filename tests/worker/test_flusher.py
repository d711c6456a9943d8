"""Group commit, with a real thread and the loop's turns under the test's control."""
from __future__ import annotations

import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.worker.flusher import Flusher
from tests.storage.logs import NOW, batch

TIMEOUT_S = 10.0


class Loop:
    """Calls wait until `turn`; those from the thread come through a queue."""

    def __init__(self) -> None:
        self.soon: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.from_thread: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def call_soon(self, call: Callable[..., Any], *args: Any) -> None:
        self.soon.append((call, args))

    def call_soon_threadsafe(self, call: Callable[..., Any], *args: Any) -> None:
        self.from_thread.put((call, args))

    def turn(self) -> None:
        waiting, self.soon = self.soon, []
        for call, args in waiting:
            call(*args)

    def thread(self) -> None:
        """Wait for the thread's next word and run it."""
        call, args = self.from_thread.get(timeout=TIMEOUT_S)
        call(*args)


class SlowDisk(Disk):
    """Syncs wait for `go`; `error` is raised by the next one."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.error: Exception | None = None
        self.synced = 0

    def sync(self, fd: int) -> None:
        assert self.go.acquire(timeout=TIMEOUT_S)
        self.synced += 1
        error, self.error = self.error, None
        if error is not None:
            raise error

    def sync_directory(self, path: str) -> None:
        """Not what is looked at here, but for its being there."""
        if not self.exists(path):
            raise FileNotFoundError(path)


class Bench:
    def __init__(self, path: pathlib.Path) -> None:
        self.loop, self.disk = Loop(), SlowDisk()
        self.failures: list[OSError] = []
        self.flusher = Flusher(self.loop, self.failures.append)  # type: ignore[arg-type]
        self.path = path

    def partition(self, number: int = 0) -> Partition:
        name = TopicPartition("t", number)
        opened = Log.open(
            str(self.path / str(name)), disk=self.disk, partition=name, config=TopicConfig(),
            now_ms=NOW,
        )  # fmt: skip
        made = Partition(name, bytes(16), opened, broker_id=1, request_flush=self.flusher.request)
        self.disk.go.release(10)
        made.lead(Leadership(1, 0, 0, (1,), (1,)))
        opened.flush()  # the epoch, so that one sync is one round from here on
        while self.disk.go.acquire(blocking=False):
            pass
        self.disk.synced = 0
        return made

    def append(self, partition: Partition) -> None:
        partition.append(batch("v"), now_ms=NOW, produce_version=9)


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.disk.go.release(100)
    made.flusher.close()


def test_what_comes_meanwhile_is_one_next_round(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    bench.loop.turn()
    for _ in range(3):
        bench.append(partition)
        bench.loop.turn()
    bench.disk.go.release()
    bench.loop.thread()
    assert (partition.high_watermark, bench.disk.synced) == (1, 1)
    bench.disk.go.release()
    bench.loop.thread()
    assert (partition.high_watermark, bench.disk.synced) == (4, 2)
    assert not bench.loop.soon


def test_partitions_share_a_round(bench: Bench) -> None:
    partitions = [bench.partition(n) for n in range(3)]
    for partition in partitions:
        bench.append(partition)
    bench.loop.turn()
    bench.disk.go.release(3)
    bench.loop.thread()
    assert [one.high_watermark for one in partitions] == [1, 1, 1]


def test_a_failed_sync_is_told_and_never_tried_again(bench: Bench) -> None:
    partition, told = bench.partition(), list[str]()
    bench.append(partition)
    partition.await_commit(1, lambda: told.append("looked"))
    bench.loop.turn()
    bench.append(partition)  # waits for the next round, which must not come
    bench.disk.error = OSError(5, "Input/output error")
    bench.disk.go.release()
    bench.loop.thread()
    assert [str(error) for error in bench.failures] == ["[Errno 5] Input/output error"]
    assert told == ["looked"]
    assert partition.high_watermark == 0
    assert partition.failure is not None
    bench.flusher.request(partition)
    bench.loop.turn()
    assert bench.disk.synced == 1


def test_a_topic_deleted_while_its_flush_runs_harms_nobody(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    partition.log.epochs.assign(7, 0)  # a file that the job opens by its name
    bench.loop.turn()
    shutil.rmtree(partition.log.directory)
    partition.log.is_gone = True
    bench.disk.go.release(2)
    bench.loop.thread()
    assert not bench.failures
    assert partition.failure is None


def test_a_deleted_topic_is_not_flushed(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    partition.log.is_gone = True
    bench.loop.turn()
    assert bench.loop.from_thread.empty()
    assert bench.disk.synced == 0


def test_our_own_bug_is_no_disk_error(bench: Bench) -> None:
    bench.append(bench.partition())
    bench.loop.turn()
    bench.disk.error = ValueError("a bug")
    bench.disk.go.release()
    with pytest.raises(ValueError, match="a bug"):
        bench.loop.thread()
    assert not bench.failures


def test_closed_it_begins_nothing(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    bench.loop.turn()
    bench.append(partition)
    bench.disk.go.release()
    bench.flusher.close()
    bench.loop.thread()
    assert partition.high_watermark == 1, "the round that it was in counts"
    assert partition.log.is_dirty, "the rest is left to whoever closes the log"
