"""Real clients in consumer groups: librdkafka and Apache Kafka's own, with either protocol."""
from __future__ import annotations

import json
import pathlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.apache_kafka import tools
from tests.broker_process import BrokerProcess, wait_until

PATIENCE_S = 60.0
PARTITIONS = 6
SOON_S = 3.0  # far below a heartbeat interval of Kafka's, far above what it takes

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("groups"), workers=2) as process:
        yield process


@pytest.fixture
def admin(broker: BrokerProcess) -> Any:
    return AdminClient({"bootstrap.servers": broker.bootstrap})


class Participant(Protocol):
    """A member of a group in a process or thread of its own. seen: records it was given."""

    owned: set[tuple[str, int]]
    seen: int

    def stop(self) -> None: ...


class Librdkafka(threading.Thread):
    """confluent-kafka."""

    def __init__(self, broker: BrokerProcess, group: str, protocol: str, *topics: str) -> None:
        super().__init__(daemon=True)
        self.owned: set[tuple[str, int]] = set()
        self.seen = 0
        self.failure: Any = None
        self._over = False
        config = {
            "bootstrap.servers": broker.bootstrap,
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 100,
        }
        if protocol == "classic":
            config["partition.assignment.strategy"] = "cooperative-sticky"
        self._consumer = Consumer(config)
        self._topics = list(topics)
        self.start()

    def run(self) -> None:
        def assigned(_: Any, partitions: list[Any]) -> None:
            self.owned |= {(one.topic, one.partition) for one in partitions}

        def revoked(_: Any, partitions: list[Any]) -> None:
            self.owned -= {(one.topic, one.partition) for one in partitions}

        self._consumer.subscribe(
            self._topics, on_assign=assigned, on_revoke=revoked, on_lost=revoked
        )
        while not self._over:
            message = self._consumer.poll(0.02)
            if message is None:
                continue
            error = message.error()
            if error and error.code() == KafkaError.REBALANCE_IN_PROGRESS:
                continue  # its join was under way when the group changed its protocol: as on Kafka
            if error:
                self.failure = self.failure or error
            else:
                self.seen += 1
        self._consumer.close()

    def stop(self) -> None:
        self._over = True
        self.join(PATIENCE_S)
        assert self.failure is None


class Java:
    """Apache Kafka's verifiable consumer."""

    def __init__(self, broker: BrokerProcess, group: str, protocol: str, *topics: str) -> None:
        self.owned: set[tuple[str, int]] = set()
        self.seen = 0
        args = ["--bootstrap-server", broker.bootstrap, "--group-id", group, "--topic", *topics]
        args += ["--group-protocol", protocol, "--reset-policy", "earliest"]
        args += ["--enable-autocommit"]
        if protocol == "classic":
            strategy = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
            args += ["--assignment-strategy", strategy]
        self._process = subprocess.Popen(
            tools.command("kafka-verifiable-consumer", args), stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            parts = {(one["topic"], one["partition"]) for one in event.get("partitions", ())}
            match event["name"]:
                case "partitions_assigned":
                    self.owned |= parts
                case "partitions_revoked":
                    self.owned -= parts
                case "records_consumed":
                    self.seen += event["count"]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


Make = Callable[..., Participant]
both = pytest.mark.parametrize("make", [Librdkafka, Java])


def create(admin: Any, name: str, partitions: int = PARTITIONS) -> set[tuple[str, int]]:
    for made in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        made.result(20)
    return {(name, number) for number in range(partitions)}


def shared(members: list[Participant], partitions: set[tuple[str, int]]) -> bool:
    """Whether every partition has one owner, and nobody has more than its share."""
    parts = [set(one.owned) for one in members]
    sizes = [len(part) for part in parts]
    return (
        sum(sizes) == len(partitions)
        and set().union(*parts) == partitions
        and max(sizes) - min(sizes) <= 1
    )


def all_seen(members: list[Participant], count: int) -> bool:
    return sum(one.seen for one in members) >= count


def group_type(admin: Any, group: str) -> str:
    (found,) = [g for g in admin.list_consumer_groups().result(20).valid if g.group_id == group]
    return str(found.type.name)


@both
def test_members_come_and_go(broker: BrokerProcess, admin: Any, make: Make) -> None:
    topic = f"come-{make.__name__}"
    partitions = create(admin, topic)
    one = make(broker, topic, "consumer", topic)
    wait_until(lambda: shared([one], partitions), PATIENCE_S, "one owns all")
    two = make(broker, topic, "consumer", topic)
    wait_until(lambda: two.owned, PATIENCE_S, "two has begun")
    began = time.monotonic()
    wait_until(lambda: shared([one, two], partitions), PATIENCE_S, "both own half")
    assert time.monotonic() - began < SOON_S
    described = admin.describe_consumer_groups([topic])[topic].result(20)
    assert len(described.members) == 2
    assert group_type(admin, topic) == "CONSUMER"
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for n in range(600):
        producer.produce(topic, b"x", partition=n % PARTITIONS)
    producer.flush(20)
    wait_until(lambda: one.seen + two.seen == 600, PATIENCE_S, "all is read")
    two.stop()
    began = time.monotonic()
    wait_until(lambda: shared([one], partitions), PATIENCE_S, "one owns all again")
    assert time.monotonic() - began < SOON_S
    one.stop()
    assert one.seen + two.seen == 600, "nothing is read twice"


def test_a_regex_follows_topics(broker: BrokerProcess, admin: Any) -> None:
    partitions = create(admin, "regex-a")
    create(admin, "other-b")
    one = Librdkafka(broker, "regex", "consumer", "^regex-.*")
    wait_until(lambda: shared([one], partitions), PATIENCE_S, "what there is")
    partitions |= create(admin, "regex-c", 2)
    wait_until(lambda: shared([one], partitions), PATIENCE_S, "what is new")
    admin.delete_topics(["regex-a"])["regex-a"].result(20)
    left = {("regex-c", 0), ("regex-c", 1)}
    wait_until(lambda: shared([one], left), PATIENCE_S, "what is left")
    one._over = True  # that a topic it reads is gone is an error to it
    one.join(PATIENCE_S)


@both
def test_a_group_rolls_over_to_the_new_protocol_and_back(
    broker: BrokerProcess, admin: Any, make: Make
) -> None:
    topic = f"roll-{make.__name__}"
    partitions = create(admin, topic)
    members: list[Participant] = [make(broker, topic, "classic", topic) for _ in range(2)]
    wait_until(lambda: shared(members, partitions), PATIENCE_S, "classic members share")
    assert group_type(admin, topic) == "CLASSIC"
    everyone = list(members)
    sent = 0
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for protocol in ("consumer", "classic"):
        for _ in range(2):
            members.append(make(broker, topic, protocol, topic))
            everyone.append(members[-1])
            wait_until(lambda: shared(members, partitions), PATIENCE_S, f"one more, {protocol}")
            members.pop(0).stop()
            wait_until(lambda: shared(members, partitions), PATIENCE_S, "the old one is gone")
            for n in range(60):
                producer.produce(topic, b"x", partition=n % PARTITIONS)
            producer.flush(20)
            sent += 60
            wait_until(partial(all_seen, everyone, sent), PATIENCE_S, "all is read")
        assert group_type(admin, topic) == protocol.upper()
    for one in members:
        one.stop()
    assert sum(one.seen for one in everyone) == sent, "nothing is read twice"


def test_both_clients_in_one_group_with_both_protocols(broker: BrokerProcess, admin: Any) -> None:
    partitions = create(admin, "mixed")
    members: list[Participant] = []
    for make in (Librdkafka, Java):
        for protocol in ("classic", "consumer"):
            members.append(make(broker, "mixed", protocol, "mixed"))
    wait_until(lambda: shared(members, partitions), PATIENCE_S, "four share")
    members.pop(0).stop()
    wait_until(lambda: shared(members, partitions), PATIENCE_S, "three share")
    for one in members:
        one.stop()


def test_kafkas_tools_see_the_group(
    broker: BrokerProcess, admin: Any, tmp_path: pathlib.Path
) -> None:
    partitions = create(admin, "seen")
    one = Librdkafka(broker, "seen", "consumer", "seen")
    wait_until(lambda: shared([one], partitions), PATIENCE_S, "it is there")
    at = ["--bootstrap-server", broker.bootstrap]
    told = tools.run(
        "kafka-consumer-groups", [*at, "--describe", "--group", "seen", "--members", "--verbose"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    assert "seen:0,1,2,3,4,5" in told.replace("(", ":").replace(")", "")
    own = ["--alter", "--entity-type", "groups", "--entity-name", "seen"]
    tools.run(
        "kafka-configs", [*at, *own, "--add-config", "consumer.session.timeout.ms=50000"],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    shown = tools.run(
        "kafka-configs", [*at, "--describe", "--entity-type", "groups", "--entity-name", "seen"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    assert "consumer.session.timeout.ms=50000" in shown
    one.stop()
