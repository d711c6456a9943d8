"""Partitions and topics of one broker, as columns of numbers."""
from __future__ import annotations

from array import array
from collections.abc import Iterator

from fastbroker.handlers.context import Broker
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.labels import OTHER
from fastbroker.metrics.samples import MISSING, Rows, Samples
from fastbroker.partition.partition import Partition

STEP = 32  # partitions between two chances to let others in
NO_NUMBER = array("i", [-1]).tobytes()

# Columns of a partition; those before LEADER are told by whoever has it, the others by its leader.
COLUMNS = (
    c.LOG_SIZE, c.LOG_SEGMENTS, c.LOG_START, c.LOG_END,
    c.CURRENT_OFFSET, c.OLDEST_OFFSET, c.REPLICAS, c.IN_SYNC, c.UNDER_REPLICATED,
    c.LEADER, c.IS_PREFERRED,
)  # fmt: skip
ADDED_UP = 9  # the first so many make sense as a sum
UNKNOWN = (MISSING,) * 4
NOT_LED = (MISSING,) * 7


class PartitionMetrics:
    """Made for one answer. Adds up topics and the broker as it goes through the partitions."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._columns = [array("q") for _ in COLUMNS]
        self._runs: list[tuple[str, array[int]]] = []  # partitions next to each other, of one topic
        self._topics: dict[str, list[int]] = {}  # records and bytes in, bytes out
        self._sizes: dict[str, int] = {}  # partitions of the topics whose first is led here
        self._folded = [0] * ADDED_UP
        self._led = self._under_replicated = self._under_min_isr = 0

    def add(self, samples: Samples) -> Iterator[None]:
        """Add all samples, some partitions a step."""
        broker = self.broker
        partitions = list(broker.partitions.values())
        most = broker.config["fastbroker.metrics.partitions.max"]
        for at in range(0, len(partitions), STEP):
            for number, partition in enumerate(partitions[at : at + STEP], at):
                self._look_at(partition, is_folded=number >= most)
            yield
        folded = max(len(partitions) - most, 0)
        samples.value(c.PARTITIONS_FOLDED, folded)
        self._add_partitions(samples, folded)
        yield
        self._add_topics(samples)
        self._add_broker(samples, len(partitions))

    def _look_at(self, partition: Partition, *, is_folded: bool) -> None:
        name, leadership = partition.name, partition.leadership
        topic = name.topic
        log, kept = self.broker.log_dir.logs.get(name), partition.kept
        sums = self._topics.get(topic)
        if sums is None:
            sums = self._topics[topic] = [0, 0, 0]
        sums[2] += partition.sent_bytes
        if kept is not None:
            sums[0] += kept.records
            sums[1] += kept.bytes
        values: tuple[int, ...]
        if log is not None:
            segments, end = log.segments, log.log_end_offset
            unflushed = log.unflushed
            sums[0] += end - unflushed.opened_at
            sums[1] += unflushed.written_bytes
            count = len(segments)
            size = segments.last.size if count == 1 else segments.size
            values = (size, count, log.log_start_offset, end)
            readable = partition.high_watermark
        elif kept is not None:
            values = kept[2:]
            readable = kept.end
        else:
            values, readable = UNKNOWN, MISSING
        if leadership.leader == self.broker.broker_id:
            replicas, in_sync = len(leadership.replicas), len(leadership.isr)
            self._led += 1
            if in_sync < replicas:
                self._under_replicated += 1
            if in_sync < self._min_isr(topic):
                self._under_min_isr += 1
            values += (
                readable, values[2], replicas, in_sync, int(in_sync < replicas),
                leadership.leader, int(leadership.replicas[0] == leadership.leader),
            )  # fmt: skip
            if name.partition == 0 and not is_folded:
                self._sizes[topic] = len(self.broker.image.topics[topic].partitions)
        else:
            values += NOT_LED
        if is_folded:
            for at in range(ADDED_UP):
                if values[at] != MISSING:
                    self._folded[at] += values[at]
            return
        if not self._runs or self._runs[-1][0] != topic:
            self._runs.append((topic, array("i")))
        self._runs[-1][1].append(name.partition)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)

    def _min_isr(self, topic: str) -> int:
        broker = self.broker
        if not broker.image.topic_configs(topic):
            return int(broker.config["min.insync.replicas"])
        return broker.topic_config(topic).min_insync_replicas

    def _add_partitions(self, samples: Samples, folded: int) -> None:
        rows: Rows = [(topic, numbers.tobytes()) for topic, numbers in self._runs]
        if folded:
            rows.append((OTHER, NO_NUMBER))
            for at, column in enumerate(self._columns):
                column.append(self._folded[at] if at < ADDED_UP else MISSING)
        samples.table(rows, dict(zip(COLUMNS, self._columns, strict=True)))

    def _add_topics(self, samples: Samples) -> None:
        most = self.broker.config["fastbroker.metrics.topics.max"]
        topics = list(self._topics.items())
        rows: Rows = [(topic, b"") for topic, _ in topics[:most]]
        columns = [array("q", [sums[at] for _, sums in topics[:most]]) for at in range(3)]
        if len(topics) > most:
            rows.append((OTHER, b""))
            for at, column in enumerate(columns):
                column.append(sum([sums[at] for _, sums in topics[most:]]))
        samples.value(c.TOPICS_FOLDED, max(len(topics) - most, 0))
        families = (c.MESSAGES_IN, c.BYTES_IN, c.BYTES_OUT)
        samples.table(rows, dict(zip(families, columns, strict=True)))
        sizes = list(self._sizes.items())[:most]
        samples.table(
            [(topic, b"") for topic, _ in sizes],
            {c.TOPIC_PARTITIONS: array("q", [count for _, count in sizes])},
        )

    def _add_broker(self, samples: Samples, partitions: int) -> None:
        log_dir = self.broker.log_dir
        is_offline = log_dir.failure is not None
        samples.value(c.PARTITION_COUNT, partitions)
        samples.value(c.LEADER_COUNT, self._led)
        samples.value(c.UNDER_REPLICATED_COUNT, self._under_replicated)
        samples.value(c.UNDER_MIN_ISR, self._under_min_isr)
        samples.value(c.OFFLINE_REPLICAS, partitions if is_offline else 0)
        samples.value(c.OFFLINE_DIRS, int(is_offline))
        samples.value(c.OPEN_LOGS, len(log_dir.logs))
        samples.value(c.MIN_FREE, log_dir.space.marks.min_free)
        samples.value(c.REFUSES, int(log_dir.space.is_short))
