"""Random lives of a log directory whose flushes go through the commit journal; see power_cuts.py.

The sync thread, and the one of the checkpoints, make one step whenever the dice say so: they write
a frame, sync the journal, sync a file; a sync of the whole file system takes two. Logs are cut as a
follower cuts them that hears of a new leader.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastbroker._c.checksum import crc32c
from fastbroker._c.sync_thread import CRC_AT, FILE_SYSTEM, FRAME_ALIGN
from fastbroker.errors import KafkaStorageError
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.storage.journal import FILES, Frame, Journal
from fastbroker.storage.journal_frames import read_frames
from fastbroker.storage.log_dir import CLEAN
from fastbroker.worker.checkpoint import Checkpoint
from fastbroker.worker.flusher import Flusher
from tests.sim.disk import SimulatedDisk
from tests.sim.schedules import Broken
from tests.storage.power_cuts import PATH, PLAIN, Schedule
from tests.worker.loops import TurnedLoop

HALF_BYTES = (2 * FRAME_ALIGN, 3 * FRAME_ALIGN, 6 * FRAME_ALIGN)


class SteppedThread:
    """What the sync thread does, on a simulated disk, one step at a time."""

    def __init__(self, disk: SimulatedDisk, done_fd: int) -> None:
        self.disk, self.done_fd = disk, done_fd
        self.steps: list[Callable[[], None]] | None = None
        self.failures: list[int] = []

    @property
    def is_busy(self) -> bool:
        return self.steps is not None

    def begin(
        self, files: Sequence[tuple[int, int]], journal: int = -1, frames: Sequence[Frame] = ()
    ) -> None:
        assert self.steps is None
        copies = sum(len(copied) for _, _, copied in frames)
        self.failures = [0] * (len(files) + (copies + 1 if journal >= 0 else 0))
        steps: list[Callable[[], None]] = []
        for frame in frames:
            steps.append(lambda frame=frame: self._write(journal, frame))  # type: ignore[misc]
        if journal >= 0:
            steps.append(lambda: self._sync_journal(journal))
        for number, (fd, how) in enumerate(files):
            if how == FILE_SYSTEM:
                steps += self._sync_everything(number, fd)
            else:
                steps.append(lambda n=number, fd=fd: self._sync(n, fd))  # type: ignore[misc]
        self.steps = steps

    def step(self) -> bool:
        """Whether there was one."""
        if not self.steps:
            return False
        self.steps.pop(0)()
        return True

    def _write(self, journal: int, frame: Frame) -> None:
        position, head, copied = frame
        data = bytearray(head)
        try:
            for fd, at, size in copied:
                data += self.disk.pread(fd, size, at).ljust(size, b"\0")
            data[CRC_AT : CRC_AT + 4] = crc32c(bytes(data[CRC_AT + 4 :])).to_bytes(4, "big")
            self.disk.pwrite(journal, data.ljust(-(-len(data) // FRAME_ALIGN) * FRAME_ALIGN, b"\0"),
                             position)  # fmt: skip
        except OSError as error:
            self.failures[-1] = error.errno or 5

    def _sync_journal(self, journal: int) -> None:
        if self.failures[-1] == 0:
            self._sync(len(self.failures) - 1, journal)

    def _sync(self, number: int, fd: int) -> None:
        try:
            self.disk.sync(fd)
        except OSError as error:
            self.failures[number] = error.errno or 5

    def _sync_everything(self, number: int, fd: int) -> list[Callable[[], None]]:
        ends: list[Callable[[], None]] = []

        def begin() -> None:
            try:
                ends.append(self.disk.begin_sync_file_system(fd))
            except OSError as error:
                self.failures[number] = error.errno or 5

        def end() -> None:
            for one in ends:
                one()

        return [begin, end]

    def end(self) -> list[int]:
        assert self.steps == []
        self.steps = None
        return self.failures

    def close(self) -> list[int]:
        if self.steps is None:
            return []
        while self.step():
            pass
        return self.end()


class JournalSchedule(Schedule):
    """What one seed makes."""

    steps = 160
    calls = 500
    weights = (30, 25, 110, 2, 2, 3, 1, 2, 4, 1, 3)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.journal_weights = 0, 0  # the flusher decides here
        self.half_bytes = self.dice.choice(HALF_BYTES)
        if self.dice.random() < 0.6:
            self.producers = PLAIN  # logs are cut then

    def _open(self) -> None:
        self._check_journal()
        super()._open()
        assert self.log_dir is not None
        self.log_dir.journal = Journal(self.disk, PATH, half_bytes=self.half_bytes)
        self.loop: Any = TurnedLoop()
        self.thread, self.other = SteppedThread(self.disk, 1), SteppedThread(self.disk, 2)
        self.checkpoint = Checkpoint(
            self.loop, self.other, self.log_dir, failed=self._failed,
            write_points=self.log_dir.write_recovery_points,
        )  # fmt: skip
        self.flusher = Flusher(
            self.loop, self.thread, self._failed, self.log_dir.journal, self.checkpoint
        )
        self.partitions: dict[TopicPartition, Partition] = {}
        for name in self.topics:
            self._lead(name)

    def _check_journal(self) -> None:
        """The frames that will be replayed follow each other, in both halves together, too."""
        found: list[int] = []
        for name in FILES:
            path = f"{PATH}/{name}"
            if self.disk.exists(path):
                half = [frame.sequence for frame in read_frames(self.disk, path)]
                if half and half != list(range(half[0], half[0] + len(half))):
                    raise Broken(f"{path} has frames {half}")
                found += half
        if len(set(found)) != len(found):
            raise Broken(f"frames of both halves are the same: {found}")

    def _lead(self, name: TopicPartition) -> None:
        assert self.log_dir is not None
        log = self.log_dir.logs[name]
        self.partitions[name] = Partition(
            name, self.topics[name][0], lambda: log, broker_id=1,
            request_flush=self.flusher.request,
        )

    def _failed(self, error: OSError) -> None:
        assert self.log_dir is not None
        if self.log_dir.failure is None:
            self.log_dir.failure = error
            for partition in self.partitions.values():
                partition.fail(error)

    def _begin_flush(self) -> None:
        for partition in self.partitions.values():
            if self.dice.random() < 0.7:
                self.flusher.request(partition)
        self.loop.turn()

    def _sync_one(self) -> None:
        """A step of one of the threads, or what the loop does behind their last."""
        thread = self.thread if self.dice.random() < 0.8 else self.other
        if thread.is_busy and not thread.step():
            self.loop.readers[thread.done_fd]()
            self._acknowledge_flushed()

    def _acknowledge_flushed(self) -> None:
        assert self.log_dir is not None
        if self.log_dir.failure is not None:
            raise OSError("offline")
        for name, (_, promises) in self.topics.items():
            log = self.log_dir.logs[name]
            promises.acked = max(promises.acked, log.flushed_offset)
            log.producers.commit_below(log.flushed_offset)

    def _delete_topic(self) -> None:
        super()._delete_topic()
        assert self.log_dir is not None
        for name, partition in self.partitions.items():
            if partition.log is not self.log_dir.logs[name]:
                self._lead(name)
                return

    def _let_go(self) -> None:
        """Files are let go, or a log is cut.

        Nothing fails until the cut and the new epoch are on the medium: what the journal still
        has of what was behind it is what this is about.
        """
        super()._let_go()
        name, log, promises = self._one()
        if log.producers.producers or log.log_end_offset == log.log_start_offset:
            return
        firsts = [one.first for one in promises.batches if one.first >= log.log_start_offset]
        if not firsts or self.dice.random() < 0.3:
            return
        assert self.log_dir is not None
        with self.disk.no_faults():
            log.truncate_to(self.dice.choice(firsts))
            for file in self.disk.list(log.directory):
                fd = self.disk.open(f"{log.directory}/{file}")
                self.disk.sync(fd)
                self.disk.close(fd)
            self.disk.sync_directory(log.directory)
            self.log_dir.write_recovery_points()
            end = log.log_end_offset
            self.epoch += 1
            log.epochs.assign(self.epoch, end)
            log.epochs.write()
            self.disk.sync_file(log.epochs.path)
            self.disk.sync_directory(log.directory)
        promises.batches = [one for one in promises.batches if one.first < end]
        promises.refused = None
        promises.acked = min(promises.acked, end)
        partition = self.partitions[name]
        partition.high_watermark = min(partition.high_watermark, end)

    def _close(self) -> None:
        assert self.log_dir is not None
        self.flusher.close()
        self.checkpoint.close()
        if self.log_dir.failure is not None:
            raise KafkaStorageError("offline")
        self.log_dir.close(1)
        self.was_closed = self.disk.exists(f"{PATH}/{CLEAN}")  # not on a full disk
