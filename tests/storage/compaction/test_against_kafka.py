"""The same log cleaned twice by Apache Kafka and by us: the same batches and records are left."""
from __future__ import annotations

import pathlib
import shutil
import time
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from fastbroker.config.topic import TopicConfig
from fastbroker.records.compression import NAMES
from fastbroker.records.reader import Batch, iter_batches
from fastbroker.storage.log import Log
from tests.apache_kafka.broker import KafkaNode
from tests.broker_process import wait_until
from tests.storage.compaction.cleanings import batches_of, clean
from tests.storage.logs import NOW, open_log

STEP_MS = 10_000  # between two segments
SETTINGS = {
    "log.cleaner.backoff.ms": "50",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
}
TOPIC = {
    "retention.ms": "-1", "message.timestamp.after.max.ms": str(10 * 86_400_000),
    "segment.ms": "5000", "delete.retention.ms": "0",
    "min.cleanable.dirty.ratio": "0.0001", "index.interval.bytes": "200",
}  # fmt: skip
CONFIG = TopicConfig(cleanup_policy=("compact",), delete_retention_ms=0, index_interval_bytes=200)


class Author:
    """Writes to Kafka; each of its calls begins a segment. `at`: the records' time, in ms."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        # In the future: the time of a marker is now, and a segment with a later one never ends.
        self.at = int(time.time() * 1000) + 86_400_000
        self._transactional: dict[str, Producer] = {}

    def plain(self, codec: str, pairs: list[tuple[str | None, str | None]], **how: Any) -> None:
        own = {"bootstrap.servers": self.bootstrap, "compression.type": codec, "linger.ms": 100}
        self._send(Producer({**own, **how}), pairs)

    def transaction(self, name: str, pairs: list[tuple[str, str | None]], *, commit: bool) -> None:
        producer = self._transactional.get(name)
        if producer is None:
            producer = self._transactional[name] = Producer(
                {"bootstrap.servers": self.bootstrap, "transactional.id": name, "linger.ms": 100}
            )
            producer.init_transactions(30)
        producer.begin_transaction()
        self._send(producer, pairs)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)

    def _send(self, producer: Producer, pairs: list[Any]) -> None:
        self.at += STEP_MS
        for key, value in pairs:
            producer.produce("t", key=key, value=value, timestamp=self.at, partition=0)
        assert producer.flush(30) == 0


def first_half(author: Author) -> None:
    for number, codec in enumerate(NAMES):
        author.plain(codec, [(f"k{n}", f"{codec} {n}") for n in range(number, 8)])
        author.plain(codec, [("k0", None), ("k1", f"again {codec}"), (None, "no key"), ("k9", "x")])
    author.plain("lz4", [("i1", "a"), ("i2", "b")], **{"enable.idempotence": True})
    author.transaction("one", [("k2", "committed"), ("t1", "v"), ("k3", None)], commit=True)
    author.transaction("two", [("k4", "aborted"), ("t2", "v")], commit=False)
    author.transaction("one", [("k5", "aborted, too")], commit=False)
    author.transaction("one", [("k2", "last")], commit=True)
    author.plain("zstd", [("i1", None), ("only here", "y" * 300)])
    author.plain("none", [("end", "of it")])


def second_half(author: Author) -> None:
    author.transaction("two", [("t1", "newer")], commit=True)
    author.plain("gzip", [("k7", None), ("i2", "newer")])
    author.transaction("one", [("k2", "newest")], commit=False)
    author.plain("none", [("end", "again")])
    author.plain("none", [("active", "segment")])


class Row(NamedTuple):
    """What is compared of a batch with records."""

    first: int
    last: int
    producer: tuple[int, int, int]
    flags: int  # all but the codec
    records: list[tuple[int, bytes | None, bytes | None, int]]


def rows(batches: list[Batch]) -> list[Row]:
    return [
        Row(
            one.header.base_offset, one.header.last_offset,
            (one.header.producer_id, one.header.producer_epoch, one.header.base_sequence),
            one.header.attributes & ~7,
            [(row.offset, row.key, row.value, row.timestamp) for row in one.records()],
        )
        for one in batches
        if one.header.count and not one.header.is_control
    ]  # fmt: skip


def batches_in(directory: pathlib.Path) -> list[Batch]:
    return [
        one
        for file in sorted(directory.glob("*.log"))
        for one in iter_batches(file.read_bytes())
    ]


def compare(log: Log, kafka: pathlib.Path) -> None:
    """Kafka keeps the last batch of the cleaned range with no record in it, we that of each
    segment, and the last marker of a producer whole."""
    ours, theirs = batches_of(log), batches_in(kafka)
    assert rows(ours) == rows(theirs)
    ends = {one.next_offset() - 1 for one in log.segments}
    left = {one.header.base_offset for one in ours} - {one.header.base_offset for one in theirs}
    by_first = {one.header.base_offset: one.header for one in ours}
    assert all(by_first[first].last_offset in ends for first in left)
    assert {one.header.base_offset for one in theirs} <= by_first.keys()
    markers = [one.header for one in theirs if one.header.is_control and one.header.count]
    for header in markers:
        own = by_first[header.base_offset]
        assert (own.count, own.has_delete_horizon) == (1, header.has_delete_horizon)


def check_opening(directory: pathlib.Path, path: pathlib.Path, end: int) -> None:
    """A log that Kafka has cleaned up to `end` is opened as it is, whatever way Kafka has ended."""
    wanted = batches_in(directory)
    middle = wanted[len(wanted) // 2].header.base_offset
    for number, how in enumerate(
        (
            {"is_clean": True},
            {"recovery_point": end, "compacted_to": end},
            {"recovery_point": middle, "compacted_to": end},
            {"recovery_point": 0, "compacted_to": end},
        )
    ):
        shutil.copytree(directory, path / str(number) / "t-0")
        log = open_log(path / str(number), CONFIG, **how)
        assert [one.data for one in batches_of(log)] == [one.data for one in wanted]
        assert log.log_end_offset == wanted[-1].header.last_offset + 1
        for offset in range(log.log_end_offset):
            piece = log.read(
                offset, max_bytes=1 << 20, max_offset=log.log_end_offset, at_least_one=True
            )
            found = next(iter_batches(piece.read_bytes()))
            assert found.data == next(
                one.data for one in wanted if one.header.last_offset >= offset
            )
        clean(log, cleaned=end, now=NOW)
        log.close()


class Kafka:
    """The topic on a real broker. base: of its active segment."""

    def __init__(self, node: KafkaNode) -> None:
        self.node, self.admin = node, AdminClient({"bootstrap.servers": node.bootstrap})
        self.directory = node.directory / "data" / "t-0"

    def create(self) -> None:
        topic = NewTopic("t", 1, 1, config=TOPIC)
        self.admin.create_topics([topic])["t"].result(30)

    @property
    def base(self) -> int:
        return max(int(file.stem) for file in self.directory.glob("*.log"))

    def set_policy(self, policy: str) -> None:
        entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource("topic", "t", incremental_configs=[entry])
        for future in self.admin.incremental_alter_configs([resource]).values():
            future.result(30)

    def copy(self, target: pathlib.Path) -> pathlib.Path:
        shutil.copytree(
            self.directory, target, ignore=shutil.ignore_patterns("*.deleted", "*.cleaned")
        )
        return target

    def cleaned(self, target: pathlib.Path) -> pathlib.Path:
        """Its log once it is clean, up to the active segment."""
        self.set_policy("compact")
        checkpoint = self.node.directory / "data" / "cleaner-offset-checkpoint"

        def is_clean() -> bool:
            if not checkpoint.exists():
                return False
            return f"t 0 {self.base}" in checkpoint.read_text().splitlines()

        wait_until(is_clean, 30, "Kafka's cleaner")
        self.set_policy("delete")
        return self.copy(target)


@pytest.mark.kafka
@pytest.mark.slow
def test_what_is_left_is_what_kafka_leaves(tmp_path: pathlib.Path) -> None:
    with KafkaNode(tmp_path / "kafka", settings=SETTINGS) as node:
        kafka, author = Kafka(node), Author(node.bootstrap)
        kafka.create()
        first_half(author)
        before = kafka.copy(tmp_path / "ours" / "t-0")
        once = kafka.cleaned(tmp_path / "once")
        second_half(author)
        more = kafka.copy(tmp_path / "more")
        twice = kafka.cleaned(tmp_path / "twice")
    assert len(list(before.glob("*.log"))) > 10

    log = open_log(tmp_path / "ours", CONFIG)
    cleaned = clean(log, now=NOW)
    compare(log, once)
    check_opening(once, tmp_path / "opened", cleaned)
    log.close()
    for file in (tmp_path / "ours" / "t-0").glob("*.snapshot"):
        file.unlink()
    for file in more.glob("*"):
        if file.stem.isdigit() and int(file.stem) >= cleaned:
            shutil.copy(file, tmp_path / "ours" / "t-0")
    log = open_log(tmp_path / "ours", CONFIG)
    assert clean(log, cleaned=cleaned, now=NOW + 1) > cleaned
    compare(log, twice)
    assert len(rows(batches_in(twice))) < len(rows(batches_in(more)))
