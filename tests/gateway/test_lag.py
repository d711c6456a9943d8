"""Consumer lag as the host's metrics tell it, against reading everything and counting."""
from __future__ import annotations

import json
import pathlib
import random
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from fastbroker.cli.client import Client
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from tests.broker_process import BrokerProcess, free_ports, wait_until
from tests.cli.conftest import CommandLine
from tests.gateway.scrape import Scrape

DEADLINE_S = 60
HOUR_MS = 3_600_000
RETENTION_MS = 1000 * HOUR_MS
PARTITIONS = 4
TOPICS: dict[str, dict[str, str]] = {
    "plain": {},
    "small": {"retention.bytes": "100000"},
    "txn": {},
    "compacted": {
        "cleanup.policy": "compact,delete", "segment.ms": "50", "min.cleanable.dirty.ratio": "0",
    },
    "gone": {},
    "anew": {},
}  # fmt: skip
GROUPS = [f"group-{n}" for n in range(10)]
WITH_MEMBERS = {"old-style": "classic", "new-style": "consumer"}
At = tuple[str, int]


class Stand(NamedTuple):
    """What a reader of everything finds in a partition. records: (offset, timestamp)."""

    start: int
    end: int
    records: list[tuple[int, int]]


class World:
    """A broker of two workers with topics of all kinds, and who reads them."""

    def __init__(self, broker: BrokerProcess, url: str) -> None:
        self.broker, self.url = broker, url
        self.chance = random.Random(7)
        self.settings = {"bootstrap.servers": broker.bootstrap}
        self.admin = AdminClient(self.settings)
        self.producer = Producer({**self.settings, "linger.ms": 5})
        self.committed: dict[tuple[str, str, int], int] = {}

    def make(self, *names: str) -> None:
        topics = [
            NewTopic(
                one, PARTITIONS, 1, config={"retention.ms": str(RETENTION_MS), **TOPICS[one]}
            )
            for one in names
        ]
        for done in self.admin.create_topics(topics).values():
            done.result(DEADLINE_S)

    def produce(self, topic: str, count: int, producer: Producer | None = None) -> None:
        """Records with times of the last hours, in no order; batches of one and of several."""
        producer = producer or self.producer
        now_ms = int(time.time() * 1000)
        for number in range(count):
            producer.produce(
                topic, b"v" * self.chance.randrange(300), key=b"%d" % self.chance.randrange(9),
                partition=self.chance.randrange(PARTITIONS - 1),  # the last one stays empty
                timestamp=now_ms - self.chance.randrange(10 * HOUR_MS),
            )  # fmt: skip
            if self.chance.random() < 0.2 or number == count - 1:
                assert producer.flush(DEADLINE_S) == 0

    def transactions(self) -> Producer:
        """Committed, aborted, and one that stays open."""
        producer = Producer({**self.settings, "transactional.id": "t", "linger.ms": 20})
        producer.init_transactions(DEADLINE_S)
        for is_good in (True, False, True, False):
            producer.begin_transaction()
            self.produce("txn", 12, producer)
            (producer.commit_transaction if is_good else producer.abort_transaction)(DEADLINE_S)
        producer.begin_transaction()
        self.produce("txn", 8, producer)
        return producer

    def keep(self, topic: str) -> None:
        """Compact it no more: what is counted is what is there at the scrape, too."""
        policy = ConfigEntry(
            "cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET
        )
        resource = ConfigResource(
            ConfigResource.Type.TOPIC, topic, incremental_configs=[policy]
        )
        for done in self.admin.incremental_alter_configs([resource]).values():
            done.result(DEADLINE_S)
        counted: list[dict[At, Stand]] = [{}]

        def is_still() -> bool:
            counted.append(self.read(topic))
            return counted[-1] == counted[-2]

        wait_until(is_still, DEADLINE_S, "the compaction under way to end")

    def commit(self, client: Client, group: str, offsets: dict[At, int]) -> None:
        """As a program without members does."""
        topic = OffsetCommitRequest.OffsetCommitRequestTopic
        part = topic.OffsetCommitRequestPartition
        request = OffsetCommitRequest(
            group_id=group,
            topics=[
                topic(name=name, partitions=[part(partition_index=number, committed_offset=offset)])
                for (name, number), offset in offsets.items()
            ],
        )
        node = client.coordinator(group)
        answer = client.attempt(lambda: client.call(request, node=node, at_most=9))
        assert all(not p.error_code for t in answer.topics for p in t.partitions)
        for (name, number), offset in offsets.items():
            self.committed[group, name, number] = offset

    def commit_some(self, client: Client, stands: dict[At, Stand]) -> None:
        """Every group goes somewhere, also before the start and past the end of a log."""
        for group in GROUPS:
            some = [one for one in stands if self.chance.random() < 0.4]
            places = {
                one: self.chance.choice((0, stands[one].end, stands[one].end + 5))
                if self.chance.random() < 0.3
                else self.chance.randrange(stands[one].end + 1)
                for one in some
            }
            if places:
                self.commit(client, group, places)

    def read(self, *topics: str) -> dict[At, Stand]:
        """Everything that is there, by a client."""
        consumer = Consumer(
            {
                **self.settings, "group.id": "reader-of-all", "enable.partition.eof": True,
                "isolation.level": "read_uncommitted", "enable.auto.commit": False,
                "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10,
            }
        )  # fmt: skip
        places = [TopicPartition(name, n, 0) for name in topics for n in range(PARTITIONS)]
        consumer.assign(places)
        found: dict[At, list[tuple[int, int]]] = {(one.topic, one.partition): [] for one in places}
        left = set(found)
        until = time.monotonic() + DEADLINE_S
        while left:
            assert time.monotonic() < until, f"not read to their ends: {left}"
            for message in consumer.consume(1000, 0.1):
                at = message.topic(), message.partition()
                error = message.error()
                if error is None:
                    found[at].append((message.offset(), message.timestamp()[1]))
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(at)
        stands = {
            at: Stand(*consumer.get_watermark_offsets(TopicPartition(*at), DEADLINE_S), records)
            for at, records in found.items()
        }
        consumer.close()
        return stands

    def scrape(self) -> Scrape:
        """A page that is made anew."""
        time.sleep(0.6)  # the gateway gives the last one again for half a second
        return Scrape(self.url)

    def check(self, stands: dict[At, Stand]) -> Scrape:
        """What a scrape tells of every group and partition is what was counted."""
        scrape = self.scrape()
        sums: dict[tuple[str, str], int] = {}
        told: dict[tuple[str, str, str], Stand] = {}
        for group, topic in {(group, topic) for group, topic, _ in self.committed}:
            for (name, number), stand in stands.items():
                if name == topic:
                    told[group, topic, str(number)] = stand
        lags, seconds = "kafka_consumergroup_lag", "fastbroker_consumergroup_lag_seconds"
        assert set(scrape.of(lags)) == set(told)
        for labels, (start, end, records) in told.items():
            group, topic, number = labels
            offset = self.committed.get((group, topic, int(number)), -1)
            assert scrape.of("kafka_consumergroup_current_offset")[labels] == offset, labels
            if offset < 0:
                assert scrape.of(lags)[labels] == -1
                assert labels not in scrape.of(seconds)
                continue
            lag = len(range(offset, end))
            sums[group, topic] = sums.get((group, topic), 0) + lag
            assert scrape.of(lags)[labels] == lag, labels
            lost = len(range(offset, start))
            assert scrape.of("fastbroker_consumergroup_lost_records")[labels] == lost, labels
            times = [time_ms for at, time_ms in records if at >= offset]
            left = scrape.of("fastbroker_consumergroup_lag_lost_in_seconds").get(labels)
            if not times:
                assert (scrape.of(seconds)[labels], left) == (0, None), labels
                continue
            since_s = times[0] / 1000
            age = scrape.of(seconds)[labels]
            assert scrape.begun_s - since_s - 0.002 < age < scrape.ended_s - since_s + 0.002, labels
            assert left is not None
            assert abs(left + age - RETENTION_MS / 1000) < 0.002 or topic == "small", labels
        assert scrape.of("kafka_consumergroup_lag_sum") == sums
        assert not scrape.of("fastbroker_consumergroup_lag_seconds_uncertainty")
        assert list(scrape.of("fastbroker_consumergroup_lag_untimed_partitions").values()) == [0]
        return scrape

    def check_command_line(self, scrape: Scrape) -> None:
        """It tells the same."""
        shown = json.loads(CommandLine(self.broker.bootstrap).run("group", "lag", "--json").stdout)
        for group in shown:
            for one in group["partitions"]:
                labels = group["group"], one["topic"], str(one["partition"])
                lag = -1 if one["lag"] is None else one["lag"]
                assert scrape.of("kafka_consumergroup_lag")[labels] == lag, labels
                if lag < 0:
                    continue
                lost = scrape.of("fastbroker_consumergroup_lost_records")
                assert lost[labels] == one["lost"], labels
                age = scrape.of("fastbroker_consumergroup_lag_seconds")[labels]
                assert bool(age) == bool(one["behind_ms"]), labels
                assert abs(age - one["behind_ms"] / 1000) < DEADLINE_S, labels
                left = scrape.of("fastbroker_consumergroup_lag_lost_in_seconds").get(labels)
                assert (left is None) == (one["deleted_in_ms"] is None), labels
                if left is not None and not group["deleted_in_is_estimate"]:
                    assert abs(left - one["deleted_in_ms"] / 1000) < DEADLINE_S, labels


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Iterator[World]:
    port = free_ports(3)
    settings = [
        f"fastbroker.metrics.listener=127.0.0.1:{port + 2}", "log.cleaner.backoff.ms=50",
        "log.segment.delete.delay.ms=100", "offsets.topic.num.partitions=8",
        "log.flush.offset.checkpoint.interval.ms=100",  # what is not in its segment stays dirty
    ]  # fmt: skip
    with BrokerProcess(tmp_path, workers=2, port=port, settings=settings) as broker:
        world = World(broker, f"http://127.0.0.1:{port + 2}/metrics")
        world.make(*TOPICS)
        yield world


def members(world: World) -> list[Consumer]:
    """A group of each protocol, which reads some and commits that, and keeps its member."""
    found = []
    for group, protocol in WITH_MEMBERS.items():
        consumer = Consumer(
            {
                **world.settings, "group.id": group, "group.protocol": protocol,
                "enable.auto.commit": False, "auto.offset.reset": "earliest",
            }
        )  # fmt: skip
        consumer.subscribe(["plain"])
        until = time.monotonic() + DEADLINE_S
        while not (read := consumer.consume(5, 0.5)):
            assert time.monotonic() < until, f"{group} has nothing to read"
        for message in read:
            consumer.commit(message, asynchronous=False)
            assert message.error() is None
            place = group, "plain", message.partition()
            world.committed[place] = message.offset() + 1
        found.append(consumer)
    return found


def test_it_is_what_a_reader_of_everything_counts(world: World) -> None:
    for topic in ("plain", "small", "compacted", "gone", "anew"):
        world.produce(topic, 60)
    open_transaction = world.transactions()
    there = [name for name in TOPICS if name != "gone"]

    def is_compacted() -> bool:
        world.produce("compacted", 4)
        read = world.read("compacted")
        return sum(len(one.records) < one.end for one in read.values()) == PARTITIONS - 1

    wait_until(is_compacted, DEADLINE_S, "a compaction of every partition")
    world.keep("compacted")
    with Client(world.broker.bootstrap) as client:
        for group in GROUPS:
            world.commit(client, group, {("gone", 0): 1, ("anew", 1): 2})
        for done in world.admin.delete_topics(["gone", "anew"]).values():
            done.result(DEADLINE_S)
        world.make("anew")
        for group in GROUPS:
            del world.committed[group, "gone", 0], world.committed[group, "anew", 1]
        world.produce("anew", 30)
        consumers = members(world)
        coordinators = client.coordinators(GROUPS)
        leaders = {one.leader_id for one in client.topic("plain").partitions}
        assert set(coordinators.values()) == leaders == {1, 1001}, "joined over workers"
        stands = world.read(*there)
        for round_ in range(3):
            world.commit_some(client, stands)
            world.check(stands)
            moved = {("plain", 0): 10 + round_, ("small", 1): 5, ("txn", 2): 3}
            wanted = [TopicPartition(*at, offset) for at, offset in moved.items()]
            for done in world.admin.delete_records(wanted).values():
                done.result(DEADLINE_S)
            world.produce("plain", 10)
            world.produce("small", 10)
            stands = world.read(*there)
            world.check(stands)
        scrape = world.check(stands)
        world.check_command_line(scrape)
        for group in WITH_MEMBERS:
            assert scrape.of("kafka_consumergroup_members")[(group,)] == 1
        for group in GROUPS:
            assert scrape.of("kafka_consumergroup_members")[(group,)] == 0
        open_transaction.commit_transaction(DEADLINE_S)
        world.check(world.read(*there))
    for consumer in consumers:
        consumer.close()


def test_logs_are_not_opened_for_it(world: World) -> None:
    world.produce("plain", 60)
    world.produce("small", 60)
    stands = world.read("plain", "small")
    with Client(world.broker.bootstrap) as client:
        world.commit_some(client, stands)
        for done in world.admin.delete_records([TopicPartition("plain", 0, 7)]).values():
            done.result(DEADLINE_S)
    stands = world.read("plain", "small")
    world.check(stands)
    world.broker.stop()
    world.broker.start()
    before = world.scrape().of("fastbroker_open_logs")
    world.check(stands)
    after = world.scrape().of("fastbroker_open_logs")
    assert before == after
    assert sum(before.values()) <= 8, "those of the internal topic alone"
