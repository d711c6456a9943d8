"""What clients do to the broker and, the same, to the model: minute by minute, by dice."""
from __future__ import annotations

import collections
import os
from typing import NamedTuple

from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker, marker_batch
from tests.recordings.scenario import make
from tests.time.model import Value
from tests.time.state import Difference, State
from tests.time.topics import HANGING, IDEMPOTENT, PASSING, TOPICS, TRANSACTIONAL, Topic
from tests.time.world import HOUR, MINUTE

FUTURE_MS = 50 * MINUTE
TIMEOUT = 15  # minutes of a transaction
RETENTIONS_MS = (HOUR, 3 * HOUR, 2 * HOUR)  # of the topic by-time, from time to time
TOMBSTONES = 0.12  # of the records of compacted topics


class Open(NamedTuple):
    """A transaction under way in one partition; until: the minute of its time-out."""

    producer_id: int
    epoch: int
    until: int


class Traffic:
    """Clients of the broker in `state`."""

    def __init__(self, state: State) -> None:
        self.state, self.chance = state, state.chance
        # By producer and partition: its epoch, and the next sequence in it.
        self.sequences: dict[tuple[int, TopicPartition], tuple[int, int]] = {}
        self.passing = PASSING
        self.epochs: collections.Counter[int] = collections.Counter()
        self.open: dict[TopicPartition, list[Open]] = {}

    def minute(self) -> None:
        """What happens in one."""
        state, chance = self.state, self.chance
        for name, topic in state.topics.items():
            for number in range(topic.partitions):
                while chance.random() < topic.busy:
                    self.append(TopicPartition(name, number))
        self._transact()
        if chance.random() < 0.05:
            log = state.model[TopicPartition("trimmed", 0)]
            self.delete_records("trimmed", chance.choice((-1, chance.randint(log.start, log.end))))
        if chance.random() < 0.01:
            self._configure(chance.choice(RETENTIONS_MS))
        for _ in range(3):
            self._read(chance.choice(list(state.model)))
        self.wait_for(chance.choice(list(state.model)))

    def begin(self) -> None:
        """What is hardly ever written again is written."""
        self._try_configurations()
        for name in ("idle", "kept"):
            for _ in range(3):
                self.append(TopicPartition(name, 0))

    def _try_configurations(self) -> None:
        """Each has been in force since the broker has started, the last one is."""
        for retention_ms in RETENTIONS_MS:
            self._configure(retention_ms)

    def _configure(self, retention_ms: int) -> None:
        """How long one topic keeps its records."""
        policy = TOPICS["by-time"].policy._replace(retention_ms=retention_ms)
        self.state.policies["by-time"] = policy
        self.state.world.configure("by-time", retention_ms=str(policy.retention_ms))
        for name, log in self.state.model.items():
            if name.topic == "by-time":
                log.policy = policy

    # ---- records

    def append(
        self, name: TopicPartition, *, producer_id: int = -1, epoch: int = 0,
        transactional: bool = False, ahead_ms: int = 0,
    ) -> None:  # fmt: skip
        """One batch; ahead_ms: of the clock, 0: as the dice have it."""
        chance, world, log = self.chance, self.state.world, self.state.model[name]
        now_ms = world.now_ms()
        at = now_ms - chance.randrange(10 * MINUTE)
        if name.topic == "timeless":
            at = -1
        elif ahead_ms:
            at = now_ms + ahead_ms
        elif chance.random() < 0.02:
            at = now_ms + chance.randrange(FUTURE_MS)
        if name.topic == "recreated" and producer_id < 0:
            producer_id = IDEMPOTENT
        elif producer_id < 0 and chance.random() < 0.05:
            producer_id = self.passing = self.passing + 1
        if producer_id < 0:
            epoch = -1
        values = self._values(self.state.topics[name.topic])
        before, sequence = self.sequences.get((producer_id, name), (epoch, 0))
        if before != epoch:
            sequence = 0
        if producer_id < 0:
            sequence = -1
        data = build_batch(
            [(key.encode(), None if value is None else value.encode(), (), at)
             for key, value in values],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            is_transactional=transactional,
        )  # fmt: skip
        if 0 <= producer_id < PASSING:
            self.sequences[producer_id, name] = epoch, sequence + len(values)
        partition = world.partition(name)
        guard = None
        if transactional:
            guard = partition.begin_verification(producer_id, epoch, base_sequence=sequence)
        partition.append(
            memoryview(data), now_ms=now_ms, produce_version=9, verification=guard
        )
        written = log.append(
            now_ms if log.policy.append_time else at, now_ms, values=values,
            producer_id=producer_id, epoch=epoch, transactional=transactional,
        )  # fmt: skip
        if (partition.high_watermark, len(data)) != (written.last + 1, written.size):
            raise Difference(f"{name}: {partition.high_watermark} is committed, {written} is there")

    def _values(self, topic: Topic) -> tuple[tuple[str, Value | None], ...]:
        chance, minute = self.chance, self.state.minute
        count = chance.randint(1, 3) if topic.value_bytes < 1000 else 1
        tombstones = TOMBSTONES if topic.policy.is_compacted else 0.0
        return tuple(
            (
                f"k{chance.randrange(topic.keys)}",
                None if chance.random() < tombstones else Value(f"{minute}.", size),
            )
            for size in (chance.randrange(topic.value_bytes) for _ in range(count))
        )

    # ---- transactions

    def _transact(self) -> None:
        chance, minute = self.chance, self.state.minute
        for name in self._in_transactions():
            under_way = self.open.setdefault(name, [])
            for one in list(under_way):
                is_late = minute >= one.until
                if is_late or (one.producer_id != HANGING and chance.random() < 0.2):
                    self._end(name, one, is_late=is_late)
                elif one.producer_id != HANGING and chance.random() < 0.5:
                    self.append(
                        name, producer_id=one.producer_id, epoch=one.epoch, transactional=True
                    )
            busy = {one.producer_id for one in under_way}
            for producer_id in TRANSACTIONAL:
                if producer_id not in busy and chance.random() < 0.1:
                    self._begin(name, producer_id, TIMEOUT)
            if HANGING not in busy and chance.random() < 0.005:
                self._begin(name, HANGING, 4 * 60)

    def _in_transactions(self) -> list[TopicPartition]:
        return [
            TopicPartition(name, number)
            for name, topic in TOPICS.items()
            if topic.in_transactions
            for number in range(topic.partitions)
        ]

    def _begin(self, name: TopicPartition, producer_id: int, minutes: int) -> None:
        one = Open(producer_id, self.epochs[producer_id], self.state.minute + minutes)
        self.open[name].append(one)
        self.append(name, producer_id=producer_id, epoch=one.epoch, transactional=True)

    def _end(self, name: TopicPartition, one: Open, *, is_late: bool) -> None:
        self.open[name].remove(one)
        commit = not is_late and self.chance.random() < 0.6
        epoch = one.epoch
        if is_late:
            # The coordinator fences the producer, which comes back with the epoch after that.
            epoch += 1
            self.epochs[one.producer_id] = max(self.epochs[one.producer_id], epoch + 1)
            self.state.counts["timed out"] += 1
        marker = EndTransactionMarker(one.producer_id, epoch, 1, commit, 0)
        now_ms = self.state.world.now_ms()
        self.state.world.partition(name).append_marker(marker, now_ms=now_ms)
        written = self.state.model[name].append(
            now_ms, now_ms, producer_id=one.producer_id, epoch=epoch, is_marker=True, commit=commit
        )
        if written.size != len(marker_batch(marker, now_ms=now_ms)):
            raise Difference(f"{written.size} bytes are not the size of a marker")

    def end(self) -> None:
        """All transactions are ended, and each log has its first configuration and start. A last
        batch in each begins a segment: what is behind is to be compacted some time."""
        for name, under_way in self.open.items():
            for one in list(under_way):
                self._end(name, one, is_late=True)
        for name in self.state.model:
            if name.topic != "kept":  # for ever, and the model would grow with it
                self.append(name, ahead_ms=FUTURE_MS)
        self.delete_records("trimmed", -1)
        self._try_configurations()

    # ---- requests

    def delete_records(self, name: str, offset: int) -> None:
        """Of the topic's first partition; -1: all."""
        log = self.state.model[TopicPartition(name, 0)]
        answer = self.state.world.bench.ask(
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
            connection=self.state.world.bench.connect(),
        )
        log.move_start(log.end if offset == -1 else offset)
        one = answer.topics[0].partitions[0]
        if (one.error_code, one.low_watermark) != (0, log.start):
            raise Difference(f"{name} deleted to {offset}: {one}")

    def _read(self, name: TopicPartition) -> None:
        """By offset, as a file range, and by time."""
        log, partition = self.state.model[name], self.state.world.partition(name)
        offset = self.chance.randint(log.start, log.end)
        piece = partition.read(offset, max_bytes=100_000, at_least_one=True)
        if piece.size:
            span = piece.range()
            os.pread(span.fd, min(span.length, 4096), span.offset)
        partition.find(self.state.world.now_ms() - self.chance.randrange(3 * HOUR))

    def wait_for(self, name: TopicPartition) -> None:
        """A consumer at the end, for half a minute at most."""
        bench = self.state.world.bench
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
                                "fetch_offset": self.state.model[name].end,
                                "partition_max_bytes": 1 << 20,
                            }
                        ],
                    }
                ],
            },
        )  # fmt: skip
        self.state.waiting.append(bench.send(request, 12, connection=bench.connect()))
