"""Hours of a broker's life, minute by minute, beside a model of what its files look like."""
from __future__ import annotations

import collections
import gc
import os
import pathlib
import random
import weakref
from collections.abc import Callable
from typing import NamedTuple

from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker, marker_batch
from fastbroker.records.reader import iter_batches
from fastbroker.storage.log import Log
from fastbroker.storage.segment import Segment
from fastbroker.storage.snapshots import SAVED_KEPT
from tests.handlers.bench import Pending
from tests.recordings.scenario import make
from tests.time.model import ModelLog, Policy
from tests.time.world import (
    EXPIRY_CHECK_MS,
    HOUR,
    MINUTE,
    PRODUCERS_EXPIRE_MS,
    RETENTION_CHECK_MS,
    Killed,
    World,
)

FUTURE_MS = 50 * MINUTE
TIMEOUT = 15  # minutes of a transaction
HANGING = 950  # a producer whose transaction nobody ends for hours
IDEMPOTENT = 700
TRANSACTIONAL = range(900, 904)
PASSING = 10_000  # and above: producers that write once


class Topic(NamedTuple):
    """partitions, and a chance in a minute that each is written; value_bytes: largest value."""

    policy: Policy
    partitions: int = 1
    busy: float = 0.3
    value_bytes: int = 40


MIB = 1 << 20
TOPICS = {
    "by-time": Topic(Policy(retention_ms=2 * HOUR, segment_ms=20 * MINUTE), 2),
    "by-size": Topic(
        Policy(retention_bytes=3_000_000, segment_bytes=MIB, delete_delay_ms=11 * MINUTE),
        1, 0.3, 400_000,
    ),
    "both": Topic(
        Policy(retention_ms=3 * HOUR, retention_bytes=2_500_000, segment_bytes=MIB,
               segment_ms=40 * MINUTE),
        1, 0.2, 300_000,
    ),
    "log-time": Topic(
        Policy(append_time=True, retention_ms=90 * MINUTE, segment_ms=15 * MINUTE)
    ),
    "timeless": Topic(Policy(retention_ms=2 * HOUR, segment_bytes=MIB), 1, 0.1, 400_000),
    "compact": Topic(Policy("compact", segment_ms=HOUR, max_lag_ms=30 * MINUTE)),
    "compact-delete": Topic(
        Policy("compact,delete", retention_ms=3 * HOUR, segment_ms=30 * MINUTE)
    ),
    "recreated": Topic(Policy(retention_ms=HOUR, segment_ms=10 * MINUTE), 3),
    "trimmed": Topic(Policy(segment_ms=30 * MINUTE)),
    "transactions": Topic(Policy(retention_ms=2 * HOUR, segment_ms=15 * MINUTE), 2, 0.0),
    "idle": Topic(Policy(retention_ms=5 * HOUR), 1, 0.0),
    "kept": Topic(Policy(), 1, 0.0),
}  # fmt: skip
REMADE_HOURS = {"recreated": (1, 4), "compact": (6, 9)}  # how long each lives


class Difference(AssertionError):
    """The broker is not as the model says."""


class Open(NamedTuple):
    """A transaction under way in one partition; until: the minute of its time-out."""

    producer_id: int
    epoch: int
    until: int


class Day:
    """clean(world): a round of compaction, run now; None: nothing is compacted."""

    def __init__(
        self, path: pathlib.Path, seed: int, clean: Callable[[World], None] | None = None
    ) -> None:
        self.world, self.chance, self.clean = World(path), random.Random(seed), clean
        self.model: dict[TopicPartition, ModelLog] = {}
        self.policies = {name: topic.policy for name, topic in TOPICS.items()}
        self.directories: dict[str, list[float]] = {}  # of deleted partitions: when they go
        self.minute = 0
        self.started_at = 0.0
        self.timers = 0
        self.held = 0, 0  # descriptors and open logs at the last look
        self.sure_at = 0.0  # until then not every removal is known
        # The log that was open when producers last expired: it knows none but those of the model.
        self.expired_in: dict[TopicPartition, weakref.ref[Log]] = {}
        self.sequences: collections.Counter[tuple[int, int, TopicPartition]] = (
            collections.Counter()
        )
        self.passing = PASSING
        self.epochs: collections.Counter[int] = collections.Counter()
        self.open: dict[TopicPartition, list[Open]] = {}
        self.ends: dict[str, int] = {}  # topic -> minute at which it is made anew
        self.waiting: list[Pending] = []
        self.counts: collections.Counter[str] = collections.Counter()

    # ---- the course of things

    def begin(self) -> None:
        self.world.start()
        self._started()
        for name in TOPICS:
            self._create(name)
        for name in ("idle", "kept"):
            for _ in range(3):
                self._append(TopicPartition(name, 0))

    def hour(self) -> None:
        """Sixty minutes, then a look at everything."""
        restart, killed = self.chance.randrange(60), self.counts["killed in retention"]
        how = self.chance.choice(("stop", "kill", "kill in retention"))
        for minute in range(60):
            self._act()
            if minute == restart and how in ("stop", "kill"):
                if self.chance.random() < 0.5:
                    self._remake_at_last("recreated")
                self._restart(how)
                how = "done"
            self._pass_minute(kill=minute >= restart and how == "kill in retention")
            if self.counts["killed in retention"] > killed:
                how = "done"
            if minute % 7 == 0:
                self._check_directory()
        if self.minute == 9 * 60:
            self.world.step_clock(-HOUR)
        if self.clean is not None:
            self.clean(self.world)
        self.check()

    def _started(self) -> None:
        self.started_at = self.world.bench.timers.at_ms
        if self.world.epoch == 1:
            self.timers = self.world.bench.timers.waiting  # of what is done from time to time

    def _restart(self, how: str) -> None:
        if how == "stop":
            self.world.stop()
        else:
            self.world.kill()
        self.counts[how] += 1
        self.waiting.clear()
        self.directories.clear()
        self.expired_in.clear()
        self.world.start()
        self._started()
        for log in self.model.values():
            log.restarted()
            log.led(self.world.epoch)
        if how != "stop":
            self._retain()  # after a kill all logs are looked at at once
        if how == "killed in retention":
            for log in self.model.values():
                # Producers may have expired in the same moment, before that.
                log.expire(self.world.now_ms(), PRODUCERS_EXPIRE_MS)
            self.sure_at = self.started_at + max(p.delete_delay_ms for p in self.policies.values())

    def _pass_minute(self, *, kill: bool = False) -> None:
        world = self.world
        self.minute += 1
        if kill:
            world.disk.kill_in = self.chance.randrange(12)
        try:
            world.advance(MINUTE)
        except Killed:
            self._restart("killed in retention")
            world.advance(self.minute * MINUTE - world.bench.timers.at_ms)
        else:
            world.disk.kill_in = None
        at_ms = int(world.bench.timers.at_ms)
        elapsed = at_ms - int(self.started_at)
        if elapsed and elapsed % RETENTION_CHECK_MS == 0:
            self._retain()
        for name, log in self.model.items():
            if elapsed and elapsed % EXPIRY_CHECK_MS == 0:
                log.expire(world.now_ms(), PRODUCERS_EXPIRE_MS)
                opened = world.partition(name).opened
                if opened is not None:
                    self.expired_in[name] = weakref.ref(opened)
            log.remove_due(at_ms)
        for topic, due_at in list(self.directories.items()):
            self.directories[topic] = [due for due in due_at if due > at_ms]

    def _retain(self) -> None:
        now_ms, at_ms = self.world.now_ms(), int(self.world.bench.timers.at_ms)
        for log in self.model.values():
            log.left.clear()
            due = log.due(now_ms)
            self.counts["dropped"] += due
            if due:
                log.drop(due, now_ms, at_ms)

    # ---- topics

    def _create(self, name: str) -> None:
        policy = self.policies[name]
        self.world.create(name, TOPICS[name].partitions, policy.configs())
        for number in range(TOPICS[name].partitions):
            log = self.model[TopicPartition(name, number)] = ModelLog(policy, self.world.now_ms())
            log.led(self.world.epoch)
        if name in REMADE_HOURS:
            low, high = REMADE_HOURS[name]
            self.ends[name] = self.minute + self.chance.randrange(low * 60, high * 60)

    def _remake(self, name: str) -> None:
        """Somebody waits for it, and producers go on with their sequences."""
        self.counts["remade"] += 1
        partition = TopicPartition(name, 0)
        self._wait_for(partition)
        self.world.delete(name)
        at_ms = self.world.bench.timers.at_ms
        for number in range(TOPICS[name].partitions):
            del self.model[TopicPartition(name, number)]
            due = at_ms + self.policies[name].delete_delay_ms
            self.directories.setdefault(f"{name}-{number}.", []).append(due)
        self._create(name)

    def _remake_at_last(self, name: str) -> None:
        """Where the log begins, and how far it goes, is of another one now; checkpoints are old."""
        self._delete_records(name, -1)
        self._remake(name)
        self._append(TopicPartition(name, 0))

    # ---- what happens in a minute

    def _act(self) -> None:
        chance = self.chance
        for name, end in self.ends.items():
            if self.minute >= end:
                self._remake(name)
        for name, topic in TOPICS.items():
            for number in range(topic.partitions):
                while chance.random() < topic.busy:
                    self._append(TopicPartition(name, number))
        self._transact()
        if chance.random() < 0.05:
            log = self.model[TopicPartition("trimmed", 0)]
            self._delete_records("trimmed", chance.choice((-1, chance.randint(log.start, log.end))))
        if chance.random() < 0.01:
            policy = self.policies["by-time"]._replace(
                retention_ms=chance.choice((HOUR, 2 * HOUR, 3 * HOUR))
            )
            self.policies["by-time"] = policy
            self.world.configure("by-time", retention_ms=str(policy.retention_ms))
            for number in range(2):
                self.model[TopicPartition("by-time", number)].policy = policy
        for _ in range(3):
            self._read(chance.choice(list(self.model)))
        self._wait_for(chance.choice(list(self.model)))

    def _append(
        self, name: TopicPartition, *, producer_id: int = -1, epoch: int = 0,
        transactional: bool = False,
    ) -> None:  # fmt: skip
        chance, world, log = self.chance, self.world, self.model[name]
        topic, now_ms = TOPICS[name.topic], self.world.now_ms()
        at = now_ms - chance.randrange(10 * MINUTE)
        if name.topic == "timeless":
            at = -1
        elif chance.random() < 0.02:
            at = now_ms + chance.randrange(FUTURE_MS)
        if name.topic == "recreated" and producer_id < 0:
            producer_id = IDEMPOTENT
        elif producer_id < 0 and chance.random() < 0.05:
            producer_id = self.passing = self.passing + 1
        count = chance.randint(1, 3) if topic.value_bytes < 1000 else 1
        values = tuple(
            (f"k{chance.randrange(50)}", f"{self.minute}." + "v" * size)
            for size in (chance.randrange(topic.value_bytes) for _ in range(count))
        )
        sequence = self.sequences[producer_id, epoch, name]
        data = build_batch(
            [(key.encode(), value.encode(), (), at) for key, value in values],
            producer_id=producer_id,
            producer_epoch=epoch if producer_id >= 0 else -1,
            base_sequence=sequence if producer_id >= 0 else -1,
            is_transactional=transactional,
        )
        if producer_id >= 0:
            self.sequences[producer_id, epoch, name] += count
        partition = world.partition(name)
        guard = None
        if transactional:
            guard = partition.begin_verification(producer_id, epoch, base_sequence=sequence)
        partition.append(
            memoryview(data), now_ms=now_ms, produce_version=9, verification=guard
        )
        written = log.append(
            len(data), now_ms if log.policy.append_time else at, now_ms, values=values,
            producer_id=producer_id, transactional=transactional,
        )  # fmt: skip
        if partition.high_watermark != written.last + 1:
            raise Difference(f"{name}: {partition.high_watermark} is committed, {written} is there")

    def _transact(self) -> None:
        chance = self.chance
        for number in range(TOPICS["transactions"].partitions):
            name = TopicPartition("transactions", number)
            under_way = self.open.setdefault(name, [])
            for one in list(under_way):
                is_late = self.minute >= one.until
                if is_late or (one.producer_id != HANGING and chance.random() < 0.2):
                    under_way.remove(one)
                    self._end(name, one, is_late=is_late)
                elif one.producer_id != HANGING and chance.random() < 0.5:
                    self._append(
                        name, producer_id=one.producer_id, epoch=one.epoch, transactional=True
                    )
            busy = {one.producer_id for one in under_way}
            for producer_id in TRANSACTIONAL:
                if producer_id not in busy and chance.random() < 0.1:
                    self._start_transaction(name, producer_id, TIMEOUT)
            if HANGING not in busy and chance.random() < 0.005:
                self._start_transaction(name, HANGING, 4 * 60)

    def _start_transaction(self, name: TopicPartition, producer_id: int, minutes: int) -> None:
        one = Open(producer_id, self.epochs[producer_id], self.minute + minutes)
        self.open[name].append(one)
        self._append(name, producer_id=producer_id, epoch=one.epoch, transactional=True)

    def _end(self, name: TopicPartition, one: Open, *, is_late: bool) -> None:
        commit = not is_late and self.chance.random() < 0.6
        epoch = one.epoch
        if is_late:
            # The coordinator fences the producer, which comes back with the epoch after that.
            epoch += 1
            self.epochs[one.producer_id] = max(self.epochs[one.producer_id], epoch + 1)
            self.counts["timed out"] += 1
        marker = EndTransactionMarker(one.producer_id, epoch, 1, commit, 0)
        now_ms = self.world.now_ms()
        self.world.partition(name).append_marker(marker, now_ms=now_ms)
        self.model[name].append(
            len(marker_batch(marker, now_ms=now_ms)), now_ms, now_ms,
            producer_id=one.producer_id, is_marker=True, commit=commit,
        )  # fmt: skip

    def _delete_records(self, name: str, offset: int) -> None:
        log = self.model[TopicPartition(name, 0)]
        answer = self.world.bench.ask(
            make(
                DeleteRecordsRequest,
                {
                    "timeout_ms": 1000,
                    "topics": [
                        {
                            "name": name,
                            "partitions": [{"partition_index": 0, "offset": offset}],
                        }
                    ],
                },
            ),
            2,
        )
        log.move_start(log.end if offset == -1 else offset)
        one = answer.topics[0].partitions[0]
        if (one.error_code, one.low_watermark) != (0, log.start):
            raise Difference(f"{name} deleted to {offset}: {one}")

    def _read(self, name: TopicPartition) -> None:
        """By offset, as a file range, and by time."""
        log, partition = self.model[name], self.world.partition(name)
        offset = self.chance.randint(log.start, log.end)
        piece = partition.read(offset, max_bytes=100_000, at_least_one=True)
        if piece.size:
            span = piece.range()
            os.pread(span.fd, min(span.length, 4096), span.offset)
        partition.find(self.world.now_ms() - self.chance.randrange(3 * HOUR))

    def _wait_for(self, name: TopicPartition) -> None:
        """A consumer at the end, for half a minute at most."""
        bench = self.world.bench
        request = make(
            FetchRequest,
            {
                "replica_id": -1, "max_wait_ms": 30_000, "min_bytes": 1, "max_bytes": 1 << 20,
                "topics": [
                    {
                        "topic": name.topic,
                        "partitions": [
                            {
                                "partition": name.partition,
                                "fetch_offset": self.model[name].end,
                                "partition_max_bytes": 1 << 20,
                            }
                        ],
                    }
                ],
            },
        )  # fmt: skip
        self.waiting.append(bench.send(request, 12, connection=bench.connect()))

    # ---- the look at everything

    def check(self) -> None:
        """Raises Difference."""
        self._check_process()
        for name, log in self.model.items():
            self._check_log(name, log)
        self._check_directory()

    def _check_process(self) -> None:
        world = self.world
        unanswered = [one for one in self.waiting if not one.done]
        self.waiting.clear()
        if unanswered:
            raise Difference(f"{len(unanswered)} fetches wait for ever")
        gc.collect()
        in_use = {
            name: log for name, log in self.model.items()
            if world.partition(name).opened is not None
        }  # fmt: skip
        active = {f"{world.directory}/{name}/{log.pieces[-1].base:020d}.log"
                  for name, log in in_use.items()}  # fmt: skip
        # The directory itself: by it the file system is synced.
        allowed = active | {f"{world.directory}/.lock", str(world.directory)}
        files = world.open_files()
        self.held = len(files), len(in_use)
        if len(files) > len(set(files)) or not set(files) <= allowed:
            raise Difference(f"open: {sorted(set(files) - allowed) or files}")
        indexes = {
            f"{world.directory}/{name}/{piece.base:020d}{suffix}"
            for name, log in in_use.items()
            for piece in log.pieces
            for suffix in (".index", ".timeindex", ".txnindex")
        }
        maps = world.mapped_files()
        if not self.clean and not set(maps) <= indexes:
            raise Difference(f"mapped: {sorted(set(maps) - indexes)}")
        found = self.objects()
        wanted = {"segments": sum(len(log.pieces) for log in in_use.values()),
                  "logs": len(in_use)}  # fmt: skip
        if self.clean is None and found != wanted:
            raise Difference(f"in memory: {found}, {wanted} are in use")
        removals = sum(len(log.deleted) for log in self.model.values())
        removals += sum(len(due) for due in self.directories.values())
        waiting = world.bench.timers.waiting - self.timers
        # What a killed retention had renamed already went with the restart, without a timer.
        is_sure = world.bench.timers.at_ms >= self.sure_at
        if self.clean is None and (waiting != removals if is_sure else waiting > removals):
            raise Difference(f"{waiting} timers wait, {removals} files do")

    def objects(self) -> dict[str, int]:
        """How many of this broker's are alive."""
        root = str(self.world.directory)
        found = {"segments": 0, "logs": 0}
        for one in gc.get_objects():
            if isinstance(one, Segment) and one.directory.startswith(root):
                found["segments"] += 1
            elif isinstance(one, Log) and one.directory.startswith(root):
                found["logs"] += 1
        return found

    def _check_log(self, name: TopicPartition, log: ModelLog) -> None:
        partition = self.world.partition(name)
        was_open = partition.opened
        real = partition.log
        is_compacted = self.clean is not None and "compact" in log.policy.cleanup
        ours = {
            "start": log.start, "end": log.end, "committed": log.end, "stable": log.stable,
            "epochs": log.epochs,
        }  # fmt: skip
        theirs = {
            "start": real.log_start_offset, "end": real.log_end_offset,
            "committed": partition.high_watermark, "stable": partition.last_stable_offset,
            "epochs": real.epochs.entries,
        }  # fmt: skip
        if ours != theirs:
            raise Difference(f"{name}: {theirs}\n expected: {ours}")
        known, live = set(real.producers.producers), set(log.producers)
        # One that was closed may remember what has expired meanwhile, until the next look.
        expired_in = self.expired_in.get(name)
        is_exact = was_open is not None and expired_in is not None and expired_in() is was_open
        if not live <= known or not known - live <= (set() if is_exact else log.forgotten):
            raise Difference(f"{name}: producers {known}, expected {live}")
        records = self._contents(real)
        if is_compacted:
            last = {key: value for _, key, value in records}
            if last != log.last_values():
                raise Difference(f"{name}: compaction has lost a last value")
            return
        if [(offset, value) for offset, _, value in records] != log.records():
            raise Difference(f"{name}: other records than were written")

    @staticmethod
    def _contents(log: Log) -> list[tuple[int, str, str]]:
        """(offset, key, value) of every record from the start on, markers aside, by reading on."""
        found = []
        offset = log.log_start_offset
        while offset < log.log_end_offset:
            piece = log.read(
                offset, max_bytes=1 << 20, max_offset=log.log_end_offset, at_least_one=True
            )
            before = offset
            for each in iter_batches(piece.read_bytes()):
                if not each.header.is_control:
                    found += [
                        (one.offset, (one.key or b"").decode(), (one.value or b"").decode())
                        for one in each.records()
                        if one.offset >= offset
                    ]
                offset = each.header.last_offset + 1
            if offset == before:
                raise Difference(f"{log.partition}: nothing can be read at {offset}")
        return found

    def _check_directory(self) -> None:
        directory = self.world.directory
        left: collections.Counter[str] = collections.Counter()
        with os.scandir(directory) as found:
            entries = list(found)
        for entry in entries:
            if not entry.is_dir():
                if entry.name.endswith(".tmp"):
                    raise Difference(f"left over: {entry.name}")
                continue
            partition = next((one for one in self.model if str(one) == entry.name), None)
            if partition is not None:
                self._check_files(entry, self.model[partition])
            elif entry.name.endswith("-delete"):
                left[entry.name.rpartition(".")[0] + "."] += 1
            else:
                raise Difference(f"whose is {entry.name}?")
        wanted = {name: len(due) for name, due in self.directories.items() if due}
        if dict(left) != wanted:
            raise Difference(f"deleted directories: {dict(left)}, expected {wanted}")

    def _check_files(self, entry: os.DirEntry[str], log: ModelLog) -> None:
        must, may = log.files()
        with os.scandir(entry.path) as found:
            sizes = {one.name: one.stat().st_size for one in found}
        if self.clean is not None and "compact" in log.policy.cleanup:
            odd = [name for name in sizes if name.endswith((".cleaned", ".swap", ".tmp"))]
            if odd:
                raise Difference(f"{entry.name}: left over by compaction: {odd}")
            return
        saved = {
            name for name in sizes
            if name.endswith(".snapshot") and int(name[:-9]) not in log.snapshots
        }  # fmt: skip
        if len(saved) > SAVED_KEPT or any(int(name[:-9]) > log.end for name in saved):
            raise Difference(f"{entry.name}: snapshots {sorted(saved)}")
        may |= saved
        missing, odd = must.keys() - sizes.keys(), sizes.keys() - must.keys() - may
        if missing or odd:
            raise Difference(f"{entry.name}: missing {sorted(missing)}, odd {sorted(odd)}")
        for name, size in must.items():
            if size is not None and sizes[name] != size:
                raise Difference(f"{entry.name}/{name}: {sizes[name]} bytes, expected {size}")
