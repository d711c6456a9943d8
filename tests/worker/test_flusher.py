"""Group commit, with the thread and the loop's turns under the test's control."""
from __future__ import annotations

import errno
import os
import pathlib
import select
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fastbroker._c.sync_thread import DATA, FILE_SYSTEM, FRAME_ALIGN, SyncThread
from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import RANGE_BYTES, Frame, Journal
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.opening import open_log
from fastbroker.worker.checkpoint import POINTS_BYTES, Checkpoint
from fastbroker.worker.flusher import Flusher
from tests.storage.logs import NOW, batch
from tests.worker.loops import TurnedLoop


class Syncing:
    """Rounds end when the test says so. number: the errno of every file of the next one; copied: of
    everything that is copied; journal: of the journal."""

    def __init__(self, done_fd: int = 99) -> None:
        self.done_fd = done_fd
        self.rounds: list[Sequence[tuple[int, int]]] = []
        self.frames: list[Sequence[Frame]] = []
        self.is_running = False
        self.number = self.copied = self.journal = 0

    def begin(
        self, files: Sequence[tuple[int, int]], journal: int = -1, frames: Sequence[Frame] = ()
    ) -> None:
        assert not self.is_running
        for fd, _ in files:
            os.fstat(fd)
        assert (journal >= 0) is bool(frames)
        self.rounds.append(files)
        self.frames.append(frames)
        self.is_running = True

    def end(self) -> list[int]:
        assert self.is_running
        self.is_running = False
        for fd, _ in self.rounds[-1]:
            os.fstat(fd)  # still open
        copies = [one for _, _, copied in self.frames[-1] for one in copied]
        for fd, _, _ in copies:
            os.fstat(fd)
        return [
            *[self.number] * len(self.rounds[-1]),
            *[self.copied] * len(copies),
            *([self.journal] if self.frames[-1] else []),
        ]

    def close(self) -> list[int]:
        return self.end() if self.is_running else []


class Bench:
    """half_bytes: of the journal; 0: there is none."""

    def __init__(self, path: pathlib.Path, half_bytes: int = 0) -> None:
        self.loop, self.thread, self.other = TurnedLoop(), Syncing(), Syncing(98)
        self.failures: list[OSError] = []
        self.points_written = 0
        self.path = path
        self.log_dir = LogDir(str(path), disk=Disk(), node_id=1)
        self.log_dir.open()
        loop: Any = self.loop
        self.checkpoint = Checkpoint(
            loop, self.other, self.log_dir, failed=self.failed, write_points=self.write_points
        )
        self.journal = Journal(Disk(), str(path), half_bytes=half_bytes) if half_bytes else None
        if self.journal is not None:
            self.log_dir.journal = self.journal
        self.flusher = Flusher(loop, self.thread, self.failed, self.journal, self.checkpoint)

    def failed(self, error: OSError) -> None:
        self.failures.append(error)
        self.log_dir.failure = error

    def write_points(self) -> None:
        self.points_written += 1

    def partition(self, number: int = 0) -> Partition:
        """A partition that leads and has nothing to flush."""
        name = TopicPartition("t", number)
        opened = open_log(
            str(self.path / str(name)), disk=Disk(), partition=name, config=TopicConfig(),
            now_ms=NOW, topic_id=bytes(16),
        )  # fmt: skip
        made = Partition(
            name, bytes(16), lambda: opened, broker_id=1, request_flush=self.flusher.request
        )
        made.lead(Leadership(1, 0, 0, (1,), (1,)))
        made.log.make()
        opened.flush()
        return made

    def partitions(self, count: int) -> list[Partition]:
        return [self.partition(number) for number in range(count)]

    def append(self, *partitions: Partition, value: str = "v") -> None:
        for partition in partitions:
            partition.append(batch(value), now_ms=NOW, produce_version=9)

    def round(self, *partitions: Partition) -> None:
        """A batch for each, and a whole round."""
        self.append(*partitions)
        self.loop.turn()
        self.end()

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
    partition.log.roll(NOW)
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




# ---- with the journal

NO_SPACE, INPUT_OUTPUT, SHORT = 28, 5, 61


@pytest.fixture
def journaling(tmp_path: pathlib.Path) -> Bench:
    """Its halves take two small rounds."""
    return Bench(tmp_path, half_bytes=2 * FRAME_ALIGN)


def test_many_small_ranges_are_one_sync(journaling: Bench) -> None:
    partitions = journaling.partitions(30)
    journaling.append(*partitions)
    journaling.loop.turn()
    (frame,) = journaling.thread.frames[0]
    assert len(frame[2]) == 30
    assert journaling.thread.rounds[0] == [], "the journal alone is synced"
    assert partitions[0].high_watermark == 0
    journaling.end()
    assert [one.high_watermark for one in partitions] == [1] * 30
    assert {one.log.recovery_point for one in partitions} == {0}


def test_few_ranges_are_synced_themselves(journaling: Bench) -> None:
    partitions = journaling.partitions(2)
    journaling.round(*partitions)
    assert len(journaling.thread.rounds[0]) == 2
    assert not journaling.thread.frames[0]
    assert [one.log.recovery_point for one in partitions] == [1, 1]


def test_large_ranges_are_synced_themselves_beside_the_small(journaling: Bench) -> None:
    large, *small = journaling.partitions(4)
    journaling.append(large, value="x" * RANGE_BYTES)
    journaling.round(*small)
    assert journaling.thread.rounds[0] == [(large.log.segments[0].fd, DATA)]
    assert len(journaling.thread.frames[0][0][2]) == 3
    assert [one.high_watermark for one in (large, *small)] == [1] * 4
    assert [one.log.recovery_point for one in (large, *small)] == [1, 0, 0, 0]


def test_names_and_small_files_are_synced_in_the_round(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    partitions[1].log.roll(NOW)
    journaling.append(*partitions)
    before = open_files()
    journaling.loop.turn()
    assert len(journaling.thread.rounds[0]) == 2, "a snapshot and its directory"
    assert len(journaling.thread.frames[0][0][2]) == 3
    journaling.end()
    assert open_files() == before + 1, "the journal's"
    assert [one.high_watermark for one in partitions] == [1, 1, 1]


def test_a_segment_of_the_journal_is_synced_with_the_next_direct_flush(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    journaling.round(*partitions)
    first = partitions[0].log.segments[0]
    partitions[0].log.roll(NOW)
    journaling.round(partitions[0])
    second = partitions[0].log.segments[1]
    synced = [fd for fd, how in journaling.thread.rounds[1] if how == DATA]
    assert {first.fd, second.fd} < set(synced), "and what the roll has written"
    assert partitions[0].log.recovery_point == 2


def test_a_full_half_is_freed_by_one_sync_of_everything(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    journaling.round(*partitions)
    journaling.round(*partitions)
    assert not journaling.other.is_running
    journaling.append(*partitions)
    journaling.loop.turn()
    journaling.end()
    assert journaling.other.rounds == [[(journaling.checkpoint._fd, FILE_SYSTEM)]]
    journaling.round(*partitions)  # meanwhile
    assert [one.high_watermark for one in partitions] == [4] * 3
    assert {one.log.recovery_point for one in partitions} == {0}
    journaling.loop.readers[98]()
    assert {one.log.recovery_point for one in partitions} == {3}, "flushed when it began"
    assert journaling.thread.rounds == [[]] * 4
    journaling.round(*partitions)
    assert journaling.thread.rounds == [[]] * 5, "the first half again"
    assert journaling.thread.frames[4][0][0] == 0


def test_without_a_free_half_rounds_are_direct_and_wait_for_nothing(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    for _ in range(6):
        journaling.round(*partitions)
    assert [len(files) for files in journaling.thread.rounds] == [0, 0, 0, 0, 3, 3]
    assert [one.high_watermark for one in partitions] == [6] * 3
    assert {one.log.recovery_point for one in partitions} == {6}
    journaling.loop.readers[98]()
    assert {one.log.recovery_point for one in partitions} == {6}
    journaling.round(*partitions)
    assert journaling.thread.rounds[-1] == []


def test_on_an_old_kernel_a_checkpoint_syncs_every_segment(
    journaling: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "reports_all_errors", False)
    partitions = journaling.partitions(3)
    for _ in range(3):
        journaling.round(*partitions)
    assert journaling.other.rounds == [[(one.log.segments[0].fd, DATA) for one in partitions]]


def test_a_failed_checkpoint_is_told_and_frees_nothing(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    for _ in range(3):
        journaling.round(*partitions)
    journaling.other.number = INPUT_OUTPUT
    journaling.loop.readers[98]()
    assert [error.errno for error in journaling.failures] == [INPUT_OUTPUT]
    assert {one.log.recovery_point for one in partitions} == {0}
    assert journaling.journal is not None
    assert journaling.journal.full() is not None
    journaling.round(*partitions)
    assert len(journaling.other.rounds) == 1, "it is not tried again"


def test_a_failed_journal_is_told_and_acknowledges_nothing(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    journaling.thread.journal = INPUT_OUTPUT
    journaling.round(*partitions)
    assert {error.errno for error in journaling.failures} == {INPUT_OUTPUT}
    assert [one.high_watermark for one in partitions] == [0] * 3
    assert all(one.failure is not None for one in partitions)


def test_a_file_that_is_shorter_than_its_log_is_told(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    journaling.thread.copied = SHORT
    journaling.round(*partitions)
    assert {error.errno for error in journaling.failures} == {SHORT}
    assert [one.high_watermark for one in partitions] == [0] * 3


def test_a_log_that_is_cut_meanwhile_is_not_taken_for_shorter(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    journaling.append(*partitions)
    journaling.loop.turn()
    for one in partitions:
        one.log.truncate_to(0)
    journaling.thread.copied = SHORT
    journaling.end()
    assert not journaling.failures
    assert [one.log.flushed_offset for one in partitions] == [0] * 3


def test_a_journal_that_cannot_grow_leaves_the_round_to_the_segments(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    journaling.thread.journal = NO_SPACE
    journaling.append(*partitions)
    journaling.loop.turn()
    journaling.end()
    assert not journaling.failures
    assert [one.high_watermark for one in partitions] == [0] * 3, "not yet"
    assert len(journaling.thread.rounds[1]) == 3
    journaling.end()
    assert [one.high_watermark for one in partitions] == [1] * 3
    assert {one.log.recovery_point for one in partitions} == {1}
    journaling.thread.journal = 0
    journaling.round(*partitions)
    (frame,) = journaling.thread.frames[2]
    assert (journaling.thread.rounds[2], frame[0]) == ([], 0), "the other half"


def test_after_much_data_the_recovery_points_are_written(journaling: Bench) -> None:
    journaling.checkpoint.flushed(POINTS_BYTES - 100)
    partition = journaling.partition()
    assert journaling.points_written == 0
    journaling.append(partition, value="x" * 200)
    journaling.round(partition)
    assert journaling.points_written == 1


def test_closed_in_a_checkpoint_it_tells_of_a_failure(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    for _ in range(3):
        journaling.round(*partitions)
    journaling.other.number = INPUT_OUTPUT
    journaling.flusher.close()
    journaling.checkpoint.close()
    assert [error.errno for error in journaling.failures] == [INPUT_OUTPUT]


def test_a_topic_deleted_while_it_is_journaled_holds_no_files(journaling: Bench) -> None:
    partitions = journaling.partitions(3)
    for one in partitions:
        journaling.log_dir.logs[one.name] = one.log
    journaling.round(*partitions)
    unflushed = partitions[0].log.unflushed
    assert unflushed.holds(partitions[0].log.segments[0])
    journaling.log_dir.forget_log(partitions[0].name)
    assert not unflushed.holds(partitions[0].log.segments[0])


def test_a_round_without_descriptors_is_made_up_for(
    journaling: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken out of the log for it is in the next one, before anything later."""
    one, *others = journaling.partitions(4)
    one.log.roll(NOW)
    journaling.append(one, *others)
    retries: list[Callable[[], object]] = []
    monkeypatch.setattr(
        journaling.loop, "call_later", lambda _, call, *args: retries.append(lambda: call(*args)),
        raising=False,
    )  # fmt: skip

    def none_left(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(one.log.disk, "open", none_left)
        journaling.loop.turn()
        journaling.end()
    assert not journaling.failures
    assert [partition.high_watermark for partition in (one, *others)] == [0, 1, 1, 1]
    journaling.append(one)
    (retry,) = retries
    retry()
    journaling.loop.turn()
    job = journaling.flusher._round.direct[0].job  # type: ignore[union-attr]
    assert (job.ranges[0].position, job.offset) == (0, 1)
    assert job.paths
    journaling.end()
    assert one.high_watermark == 1
    journaling.end()
    assert one.high_watermark == 2
