"""Random lives of a log directory on a disk whose power is cut, again and again, at any call.

Now and then only the process ends, and what the disk has in its cache stays there. Between two cuts
several producers (plain, idempotent, transactional) append to a few partitions,
flushes begin, sync file by file and end whenever they like, segments roll and are dropped, records
and topics are deleted, topics come again under their names, checkpoints are written, the directory
is closed. A cut may also hit the start after a cut. At each start every promise is checked that a
log makes: see promises.py.
"""
from __future__ import annotations

import contextlib
import errno
import random
from typing import Any

from fastbroker._c.checksum import crc32c
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError, KafkaStorageError, NoSpaceLeft
from fastbroker.model import TopicPartition
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.journal import CRC_END, JournalWrite
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import CLEAN, LogDir, LogDirError
from fastbroker.storage.unflushed import Mark, Unflushed
from tests.sim.disk import PowerCut, SimulatedDisk
from tests.sim.schedules import Broken
from tests.storage.logs import NOW, batch
from tests.storage.promises import Promises, Written

PATH = "/data/broker-1"
NAMES = tuple(TopicPartition(topic, number) for topic, number in (("t", 0), ("t", 1), ("u", 0)))
LIVES = 3  # power cuts of one schedule
PLAIN, IDEMPOTENT, TRANSACTIONAL = (-1,), (7, 8), (100, 101, 102)
VALUE_BYTES = (5, 30, 200, 500)
STARTS_MAX = 8
# What ends a life, whatever its error is: the directory is offline then, nothing is acknowledged
# any more. A full disk is no reason for others to end it.
OFFLINE = (
    "_begin_flush", "_begin_journaling", "_sync_one", "_checkpoint_journal", "_delete_topic",
    "_close_and_open",
)  # fmt: skip
HALF_BYTES = 8 << 10  # of the journal
CRC_BYTES = 4
CONFIGS = (
    TopicConfig(segment_bytes=2600, index_interval_bytes=300, retention_bytes=6000),
    TopicConfig(segment_bytes=1 << 20, index_interval_bytes=100, retention_bytes=20_000),
    TopicConfig(segment_bytes=2600, index_interval_bytes=0, retention_bytes=-1, retention_ms=9000),
)


class Flushing:
    """A job that was begun, and what of it is still to be synced. is_journaled: its bytes go to the
    journal, with `Journaling`; it ends with that."""

    def __init__(self, log: Log, job: FlushJob, *, is_journaled: bool = False) -> None:
        self.log, self.job, self.is_journaled = log, job, is_journaled
        self.opened = [fd for fd, _ in job.open_names()]
        self.fds = [] if is_journaled else [one.fd for one in job.files]
        self.fds += self.opened


class Journaling:
    """Frames that are on their way into the journal, and what they are of."""

    def __init__(self, write: JournalWrite, jobs: dict[TopicPartition, Flushing]) -> None:
        self.write, self.jobs = write, jobs
        self.frames = list(write.frames)

    def copy(self, disk: SimulatedDisk) -> bool:
        """Write one more frame, as the sync thread does, or sync them all; whether that is done."""
        if not self.frames:
            disk.sync(self.write.fd)
            return True
        position, head, copies = self.frames.pop(0)
        frame = bytearray(head)
        for fd, at, size in copies:
            frame += disk.pread(fd, size, at)
        crc = crc32c(memoryview(frame)[CRC_END:])
        frame[CRC_END - CRC_BYTES : CRC_END] = crc.to_bytes(CRC_BYTES, "big")
        disk.pwrite(self.write.fd, frame, position)
        return False


class Schedule:
    """What one seed makes. topics: what is in the metadata, which a power cut does not change.

    steps: of a life at most. calls: of the disk, until the power is cut, on average. weights: how
    often each step is taken. producers: ids of those that append.
    """

    steps = 60
    calls = 200
    weights: tuple[int, ...] = (60, 15, 60, 4, 4, 5, 1, 2, 3, 1, 2)
    producers: tuple[int, ...] = PLAIN + IDEMPOTENT + TRANSACTIONAL

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.disk = SimulatedDisk()
        self.now_ms = NOW
        self.epoch = 0
        self.count = 0
        self.topics: dict[TopicPartition, tuple[bytes, Promises]] = {}
        self.config = self.dice.choice(CONFIGS)
        self.log_dir: LogDir | None = None
        self.flushing: dict[TopicPartition, Flushing] = {}
        self.journaling: Journaling | None = None
        self.marks: list[tuple[Unflushed, Mark]] = []  # of a checkpoint of the journal
        self.doomed: list[str] = []  # renamed, to be removed
        self.was_closed = False
        self.error = 0
        # How often it flushes into the journal, and makes it free again.
        self.journal_weights = self.dice.choice((0, 20, 100)), 15
        for name in NAMES[: self.dice.randint(1, len(NAMES))]:
            self.topics[name] = self._topic_id(), Promises()

    def _topic_id(self) -> bytes:
        return self.dice.randbytes(16)

    def run(self) -> None:
        for life in range(LIVES):
            self._start(may_be_cut=life > 0)
            self.error = 0
            if self.dice.random() < 0.9:
                self.disk.cut_power(after=int(self.dice.expovariate(1 / self.calls)))
            if self.dice.random() < 0.1:
                self.error = self.dice.choice((errno.EIO, errno.ENOSPC))
                self.disk.fail(after=self.dice.randrange(60), error=self.error)
            with contextlib.suppress(PowerCut):
                self._live()
            self._die()
        self._start(may_be_cut=False)
        self._continue_after_all()

    # ---- power

    def _die(self) -> None:
        """The machine stops, or only the process.

        After a failed sync the machine does: its cache has pages that the medium lacks, and the
        next process would be told that they are synced.
        """
        self._forget()
        if self.dice.random() < 0.25 and self.error != errno.EIO:
            self.disk = self.disk.after_kill()
        else:
            self.disk = self.disk.after_power_cut(self.dice)

    def _forget(self) -> None:
        """What a process has in memory."""
        self.flushing.clear()
        self.doomed.clear()
        self.marks.clear()
        self.journaling = None

    def _start(self, *, may_be_cut: bool) -> None:
        """As a worker starts, until it is up."""
        for attempt in range(STARTS_MAX):
            if may_be_cut and attempt < STARTS_MAX - 1 and self.dice.random() < 0.5:
                self.disk.cut_power(after=int(self.dice.expovariate(1 / 60)))
            try:
                self._open()
                self.was_closed = False
                return
            except PowerCut:
                self._die()
        raise AssertionError("the last start is not cut")

    def _open(self) -> None:
        self.log_dir = LogDir(PATH, disk=self.disk, node_id=1)
        self.log_dir.open()
        self.log_dir.join_cluster("c")
        self.log_dir.journal.half_bytes = HALF_BYTES
        self.epoch += 1
        for name, (topic_id, promises) in self.topics.items():
            log = self.log_dir.open_log(name, topic_id, self.config, self.now_ms)
            promises.after_power_cut(log, lost_nothing=self.was_closed)
            log.epochs.assign(self.epoch, log.log_end_offset)
            log.producers.commit_below(log.flushed_offset)
        for unknown in self.log_dir.unknown_directories(self.topics):
            self.log_dir.set_aside(unknown)

    def _continue_after_all(self) -> None:
        """In the end: batches that are sent again are known, others are taken, and stay."""
        assert self.log_dir is not None
        for name, (_, promises) in self.topics.items():
            log = self.log_dir.logs[name]
            self._repeat_last(log, promises)
            self._append(name)
            log.flush()
        self._close()
        self.disk = self.disk.after_power_cut(self.dice)
        self._open()

    def _repeat_last(self, log: Log, promises: Promises) -> None:
        for pid in (*IDEMPOTENT, *TRANSACTIONAL):
            mine = [one for one in promises.batches if one.producer_id == pid]
            if not mine or mine[-1].commit is not None:
                continue
            last = mine[-1]
            info = log.append(
                memoryview(bytearray(last.sent)), leader_epoch=self.epoch, now_ms=self.now_ms,
                produce_version=9,
            )  # fmt: skip
            if not info.is_duplicate or (info.first_offset, info.last_offset) != last[:2]:
                raise Broken(f"{log.partition}: {last[:-1]} sent again went to {info}")

    # ---- a life

    def _live(self) -> None:
        """Steps until the power goes, or an error makes the directory useless."""
        dice = self.dice
        for _ in range(dice.randint(self.steps // 2, self.steps)):
            self.now_ms += dice.randint(0, 1000)
            self.disk.now_ms = self.now_ms
            step = dice.choices(
                (
                    self._append_to_one, self._begin_flush, self._sync_one, self._retain,
                    self._delete_records, self._write_checkpoints, self._delete_topic,
                    self._remove_doomed, self._roll, self._close_and_open, self._let_go,
                    self._begin_journaling, self._checkpoint_journal,
                ),
                (*self.weights, *self.journal_weights),
            )[0]  # fmt: skip
            try:
                step()
            except (OSError, KafkaStorageError, NoSpaceLeft, LogDirError):
                if self.error != errno.ENOSPC or step.__name__ in OFFLINE:
                    return
            except KafkaError as error:
                raise Broken(f"{step.__name__}: {error}") from error
            self._acknowledge()

    def _acknowledge(self) -> None:
        """What the logs say is flushed has been promised."""
        assert self.log_dir is not None
        for name, (_, promises) in self.topics.items():
            if name in self.log_dir.logs:
                promises.acked = max(promises.acked, self.log_dir.logs[name].flushed_offset)

    def _one(self) -> tuple[TopicPartition, Log, Promises]:
        assert self.log_dir is not None
        name = self.dice.choice(list(self.topics))
        return name, self.log_dir.logs[name], self.topics[name][1]

    def _append_to_one(self) -> None:
        self._append(self._one()[0])

    def _append(self, name: TopicPartition) -> None:
        assert self.log_dir is not None
        log, promises, dice = self.log_dir.logs[name], self.topics[name][1], self.dice
        pid = dice.choice(self.producers)
        known = log.producers.producers.get(pid)
        epoch = known.epoch if known is not None else 0
        if pid in TRANSACTIONAL and known is not None and dice.random() < 0.3:
            self._mark(log, promises, pid, epoch)
            return
        size = dice.randint(1, 4)
        values = tuple(
            f"{name}:{self.count + n}:".ljust(dice.choice(VALUE_BYTES), "x") for n in range(size)
        )
        self.count += size
        at = self.now_ms - dice.choice((0, 0, 5000))
        how: dict[str, Any] = {"at": at}
        guard = None
        if pid >= 0:
            sequence = known.last_sequence + 1 if known is not None else 0
            how |= {"producer_id": pid, "producer_epoch": epoch, "base_sequence": sequence}
        if pid in TRANSACTIONAL:
            how["is_transactional"] = True
            guard = log.producers.begin_verification(
                pid, epoch, base_sequence=sequence, own_epoch=False
            )
        data, first = batch(*values, **how), log.log_end_offset
        written = Written(
            first, first + size - 1, values, tuple(at + n for n in range(size)),
            self.epoch, pid, epoch if pid >= 0 else -1, sequence if pid >= 0 else -1,
            pid in TRANSACTIONAL, None, bytes(data),
        )  # fmt: skip
        with promises.writing(written):
            log.append(
                data, leader_epoch=self.epoch, now_ms=self.now_ms, produce_version=9,
                verification=guard,
            )  # fmt: skip

    def _mark(self, log: Log, promises: Promises, pid: int, epoch: int) -> None:
        version = self.dice.choice((1, 2))
        marker = EndTransactionMarker(
            pid, epoch + (version == 2), 3, self.dice.random() < 0.5, version
        )
        offset = log.log_end_offset
        written = Written(
            offset, offset, (), (self.now_ms,), self.epoch, pid, marker.producer_epoch,
            transactional=True, commit=marker.commit,
        )  # fmt: skip
        with promises.writing(written):
            log.append_marker(marker, leader_epoch=self.epoch, now_ms=self.now_ms)

    def _begin_flush(self) -> None:
        name, log, _ = self._one()
        if name not in self.flushing:
            job = log.begin_flush()
            if job is not None:
                self.flushing[name] = Flushing(log, job)

    def _begin_journaling(self) -> None:
        """A round of all that may go there."""
        assert self.log_dir is not None
        if self.journaling is not None:
            return
        logs = [(name, self.log_dir.logs[name]) for name in self.topics]
        jobs = []
        for name, log in logs:
            job = log.begin_flush() if name not in self.flushing else None
            if job is not None:
                self.flushing[name] = Flushing(log, job, is_journaled=job.may_be_journaled)
                if job.may_be_journaled:
                    jobs.append((name, log, job))
        write = self.log_dir.journal.prepare([job for _, _, job in jobs])
        if write is not None:
            self.journaling = Journaling(write, {name: self.flushing[name] for name, *_ in jobs})
            return
        for name, _, job in jobs:  # there is no room: their files are synced
            self.flushing[name].is_journaled = False
            self.flushing[name].fds += [one.fd for one in job.files]

    def _sync_one(self) -> None:
        """The next file of a flush is synced; behind the last, its batches are acknowledged."""
        assert self.log_dir is not None
        names = [name for name, one in self.flushing.items() if one.fds or not one.is_journaled]
        if names:
            name = self.dice.choice(names)
            flushing = self.flushing[name]
            if flushing.fds:
                self.disk.sync(flushing.fds.pop(0))
            else:
                self._end_flush(name)
            return
        journaling = self.journaling
        if journaling is not None and journaling.copy(self.disk):
            self.log_dir.journal.written(journaling.write)
            self.journaling = None
            for name, flushing in journaling.jobs.items():
                if self.flushing.get(name) is flushing:  # its topic may be gone
                    self._end_flush(name)

    def _end_flush(self, name: TopicPartition) -> None:
        flushing = self.flushing.pop(name)
        for fd in flushing.opened:
            self.disk.close(fd)
        log = flushing.log
        log.end_flush(flushing.job, is_journaled=flushing.is_journaled)
        if not log.is_gone:
            log.producers.commit_below(log.flushed_offset)

    def _checkpoint_journal(self) -> None:
        """The journal's full half is made free: what it speaks of is synced in its segments."""
        assert self.log_dir is not None
        half = self.log_dir.journal.full()
        if half is None:
            return
        if not self.marks:
            self.marks = [(log, log.mark()) for log in half.logs]
            return
        self.disk.sync_file_system(self.log_dir.fd)
        for log, mark in self.marks:
            log.synced(mark)
        self.marks = []
        self.log_dir.journal.freed(half)

    def _roll(self) -> None:
        _, log, _ = self._one()
        if log.segments[-1].size:
            log.roll(self.now_ms)

    def _retain(self) -> None:
        _, log, promises = self._one()
        if not log.producers.begun:  # nobody waits for days with an open transaction
            try:
                self.doomed += log.retain(self.now_ms, log.flushed_offset)
            finally:
                promises.start = max(log.log_start_offset, log.segments[0].base_offset)

    def _delete_records(self) -> None:
        _, log, promises = self._one()
        if log.flushed_offset > log.log_start_offset and not log.producers.begun:
            wanted = self.dice.randint(log.log_start_offset, log.flushed_offset)
            promises.cut_start = max(promises.cut_start, wanted)
            log.advance_start(wanted)
            promises.start = log.log_start_offset

    def _write_checkpoints(self) -> None:
        assert self.log_dir is not None
        for log in self.log_dir.logs.values():
            if log.save_when_due():
                self.disk.sync_file(log.epochs.path)
                log.epochs.synced()
        self.log_dir.write_recovery_points()
        self.log_dir.write_log_starts()
        for name, (_, promises) in self.topics.items():
            log = self.log_dir.logs[name]
            if log.log_start_offset > log.segments[0].base_offset:
                promises.safe_start = log.log_start_offset

    def _delete_topic(self) -> None:
        assert self.log_dir is not None
        name = self._one()[0]
        self.topics[name] = self._topic_id(), Promises()
        renamed = self.log_dir.forget_log(name)
        if renamed is not None:
            self.doomed.append(renamed)
        self.flushing.pop(name, None)
        self.log_dir.open_log(name, self.topics[name][0], self.config, self.now_ms)

    def _remove_doomed(self) -> None:
        if self.doomed:
            path = self.doomed.pop(0)
            if self.disk.is_directory(path):
                self.disk.remove_directory(path)
            else:
                self.disk.remove(path)

    def _let_go(self) -> None:
        self._one()[1].let_go_of_files()

    def _close(self) -> None:
        assert self.log_dir is not None
        while self.flushing or self.journaling is not None:
            self._sync_one()
        self.marks = []
        self.log_dir.close(1)
        # On a full disk it is closed as after a crash.
        self.was_closed = self.disk.exists(f"{PATH}/{CLEAN}")

    def _close_and_open(self) -> None:
        self._close()
        if self.dice.random() < 0.5:
            raise PowerCut("after a clean close")
        self._open()
        self.was_closed = False
