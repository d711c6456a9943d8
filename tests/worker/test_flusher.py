"""Group commit, with the thread and the loop's turns under the test's control."""
from __future__ import annotations

import os
import pathlib
import select
import shutil
from collections.abc import Callable, Sequence

import pytest

from fastbroker._c.sync_thread import SyncThread
from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.worker.flusher import Flusher
from tests.storage.logs import NOW, batch


class Loop:
    """Calls wait until `turn`."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.readers: dict[int, Callable[[], object]] = {}

    def call_soon(self, call: Callable[[], object]) -> None:
        self.soon.append(call)

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def turn(self) -> None:
        waiting, self.soon = self.soon, []
        for call in waiting:
            call()


class Syncing:
    """Rounds end when the test says so; `number`: the errno of every file of the next one."""

    done_fd = 99

    def __init__(self) -> None:
        self.rounds: list[Sequence[tuple[int, bool]]] = []
        self.is_running = False
        self.number = 0

    def begin(self, files: Sequence[tuple[int, bool]]) -> None:
        assert not self.is_running
        for fd, _ in files:
            os.fstat(fd)
        self.rounds.append(files)
        self.is_running = True

    def end(self) -> list[int]:
        assert self.is_running
        self.is_running = False
        for fd, _ in self.rounds[-1]:
            os.fstat(fd)  # still open
        return [self.number] * len(self.rounds[-1])

    def close(self) -> list[int]:
        return self.end() if self.is_running else []


class Bench:
    def __init__(self, path: pathlib.Path) -> None:
        self.loop, self.thread = Loop(), Syncing()
        self.failures: list[OSError] = []
        self.flusher = Flusher(
            self.loop, self.thread, self.failures.append  # type: ignore[arg-type]
        )
        self.path = path

    def partition(self, number: int = 0) -> Partition:
        """A partition that leads and has nothing to flush."""
        name = TopicPartition("t", number)
        opened = Log.open(
            str(self.path / str(name)), disk=Disk(), partition=name, config=TopicConfig(),
            now_ms=NOW,
        )  # fmt: skip
        made = Partition(
            name, bytes(16), lambda: opened, broker_id=1, request_flush=self.flusher.request
        )
        made.lead(Leadership(1, 0, 0, (1,), (1,)))
        opened.flush()
        return made

    def append(self, partition: Partition) -> None:
        partition.append(batch("v"), now_ms=NOW, produce_version=9)

    def end(self) -> None:
        """The thread has run its round."""
        self.loop.readers[self.thread.done_fd]()


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_comes_meanwhile_is_one_next_round(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    bench.loop.turn()
    for _ in range(3):
        bench.append(partition)
        bench.loop.turn()
    bench.end()
    assert partition.high_watermark == 1
    assert len(bench.thread.rounds) == 2
    bench.end()
    assert partition.high_watermark == 4
    assert not bench.thread.is_running


def test_partitions_share_a_round(bench: Bench) -> None:
    partitions = [bench.partition(n) for n in range(3)]
    for partition in partitions:
        bench.append(partition)
        bench.append(partition)
    bench.loop.turn()
    assert [len(files) for files in bench.thread.rounds] == [3]
    bench.end()
    assert [one.high_watermark for one in partitions] == [2, 2, 2]


def test_files_that_are_opened_for_a_round_are_closed_after_it(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    partition.log.epochs.assign(7, 0)
    before = open_files()
    bench.loop.turn()
    ((_, is_directory),) = [one for one in bench.thread.rounds[0] if one[1]]
    assert is_directory
    assert open_files() > before
    bench.end()
    assert open_files() == before


def test_a_failed_sync_is_told_and_never_tried_again(bench: Bench) -> None:
    partition, told = bench.partition(), list[str]()
    bench.append(partition)
    partition.await_commit(1, lambda: told.append("looked"))
    bench.loop.turn()
    bench.append(partition)  # waits for the next round, which must not come
    bench.thread.number = 5
    bench.end()
    assert [error.errno for error in bench.failures] == [5]
    assert told == ["looked"]
    assert partition.high_watermark == 0
    assert partition.failure is not None
    bench.flusher.request(partition)
    bench.loop.turn()
    assert len(bench.thread.rounds) == 1


def test_a_topic_deleted_before_or_while_it_is_flushed_harms_nobody(bench: Bench) -> None:
    before, meanwhile = bench.partition(0), bench.partition(1)
    for partition in (before, meanwhile):
        bench.append(partition)
        partition.log.epochs.assign(7, 0)  # a file that is opened by its name
    before.log.is_gone = True
    shutil.rmtree(before.log.directory)
    bench.loop.turn()
    meanwhile.log.is_gone = True
    shutil.rmtree(meanwhile.log.directory)
    bench.end()
    assert not bench.failures
    assert before.failure is meanwhile.failure is None


def test_closed_it_begins_nothing(bench: Bench) -> None:
    partition = bench.partition()
    bench.append(partition)
    bench.loop.turn()
    bench.append(partition)
    bench.flusher.close()
    bench.loop.turn()
    assert partition.high_watermark == 1, "the round that it was in counts"
    assert partition.log.is_dirty, "the rest is left to whoever closes the log"
    bench.flusher.request(partition)
    bench.loop.turn()
    assert len(bench.thread.rounds) == 1


def test_a_failure_of_the_last_round_is_told(bench: Bench) -> None:
    bench.append(bench.partition())
    bench.loop.turn()
    bench.thread.number = 5
    bench.flusher.close()
    assert [error.errno for error in bench.failures] == [5]


def test_the_real_thread_syncs_and_says_what_failed(tmp_path: pathlib.Path) -> None:
    thread = SyncThread()
    with (tmp_path / "file").open("wb") as file:
        for _ in range(3):
            thread.begin([(file.fileno(), False), (file.fileno(), True)])
            assert select.select([thread.done_fd], [], [], 10)[0]
            assert thread.end() == [0, 0]
        reading, writing = os.pipe()
        thread.begin([(file.fileno(), False), (reading, False)])
        assert thread.close() == [0, 22], "a pipe cannot be synced"
        assert thread.close() == []
        for fd in (reading, writing):
            os.close(fd)


