"""Transactions of unmodified clients: what is committed is seen, what is aborted is not."""
from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.apache_kafka import tools
from tests.broker_process import BrokerProcess
from tests.interop import installs
from tests.interop.broker import Broker

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

DEADLINE_S = 30.0
PARTITIONS = 4


def new_topic(bootstrap: str, word: str) -> str:
    name = f"{word}-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
        done.result(DEADLINE_S)
    return name


def producer(bootstrap: str, name: str, **more: object) -> Producer:
    made = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, **more})
    made.init_transactions(DEADLINE_S)
    return made


def reader(bootstrap: str, topic: str, group: str = "") -> Consumer:
    made = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group or uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    made.subscribe([topic])
    return made


def read(bootstrap: str, topic: str, last: str) -> list[str]:
    """Committed values up to one of each partition that begins with `last`; see `end_all`."""
    consumer, values, ends = reader(bootstrap, topic), [], 0
    deadline = time.monotonic() + DEADLINE_S
    while ends < PARTITIONS:
        assert time.monotonic() < deadline, f"{ends} ends and {len(values)} values have come"
        for message in consumer.consume(1000, 0.2):
            assert not message.error(), message.error()
            value = message.value().decode()
            ends += value == last
            values += [] if value == last else [value]
    consumer.close()
    return sorted(values)


def end_all(bootstrap: str, topic: str) -> str:
    """Write a last value into each partition: readers that have them have all that is stable."""
    last = uuid.uuid4().hex
    plain = Producer({"bootstrap.servers": bootstrap})
    for number in range(PARTITIONS):
        plain.produce(topic, last, partition=number)
    assert plain.flush(DEADLINE_S) == 0
    return last


def send(who: Producer, topic: str, word: str, count: int = 20) -> list[str]:
    values = [f"{word}-{n}" for n in range(count)]
    for n, value in enumerate(values):
        who.produce(topic, value, partition=n % PARTITIONS)
    return values


def test_librdkafka_commits_and_aborts(broker: Broker) -> None:
    topic = new_topic(broker.bootstrap, "committed")
    who = producer(broker.bootstrap, topic)
    committed: list[str] = []
    for n in range(6):
        who.begin_transaction()
        values = send(who, topic, str(n))
        assert who.flush(DEADLINE_S) == 0
        if n % 2:
            who.abort_transaction(DEADLINE_S)
        else:
            who.commit_transaction(DEADLINE_S)
            committed += values
    assert read(broker.bootstrap, topic, end_all(broker.bootstrap, topic)) == sorted(committed)


def test_an_open_transaction_holds_readers_back(broker: Broker) -> None:
    topic = new_topic(broker.bootstrap, "open")
    who = producer(broker.bootstrap, topic)
    who.begin_transaction()
    values = send(who, topic, "open")
    assert who.flush(DEADLINE_S) == 0
    last = end_all(broker.bootstrap, topic)
    consumer = reader(broker.bootstrap, topic)
    assert consumer.consume(1, 3.0) == []
    who.commit_transaction(DEADLINE_S)
    consumer.close()
    assert read(broker.bootstrap, topic, last) == sorted(values)


def test_a_newer_instance_fences_an_older_one(broker: Broker) -> None:
    topic = new_topic(broker.bootstrap, "fenced")
    old = producer(broker.bootstrap, topic)
    old.begin_transaction()
    send(old, topic, "old")
    assert old.flush(DEADLINE_S) == 0
    new = producer(broker.bootstrap, topic)  # aborts what the old one has open
    with pytest.raises(KafkaException) as caught:
        old.commit_transaction(DEADLINE_S)
    assert caught.value.args[0].name() in ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH")
    new.begin_transaction()
    values = send(new, topic, "new")
    new.commit_transaction(DEADLINE_S)
    assert read(broker.bootstrap, topic, end_all(broker.bootstrap, topic)) == sorted(values)


def test_librdkafka_consumes_transforms_and_produces(broker: Broker) -> None:
    source, target = new_topic(broker.bootstrap, "in"), new_topic(broker.bootstrap, "out")
    first = producer(broker.bootstrap, source)
    first.begin_transaction()
    values = send(first, source, "v", 100)
    first.commit_transaction(DEADLINE_S)
    group, done, turn = uuid.uuid4().hex, 0, 0
    who, consumer = producer(broker.bootstrap, group), reader(broker.bootstrap, source, group)
    deadline = time.monotonic() + DEADLINE_S
    while done < len(values):
        assert time.monotonic() < deadline
        messages = consumer.consume(15, 0.3)
        if not messages:
            continue
        who.begin_transaction()
        for message in messages:
            assert not message.error(), message.error()
            who.produce(target, message.value().upper(), partition=message.partition())
        positions = consumer.position(consumer.assignment())
        who.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), DEADLINE_S)
        turn += 1
        if turn % 3 == 0:  # and everything of it is done again
            who.abort_transaction(DEADLINE_S)
            for at in consumer.committed(consumer.assignment(), DEADLINE_S):
                at.offset = max(at.offset, 0)
                consumer.seek(at)
            continue
        who.commit_transaction(DEADLINE_S)
        done += len(messages)
    consumer.close()
    found = read(broker.bootstrap, target, end_all(broker.bootstrap, target))
    assert found == sorted(value.upper() for value in values)


def test_aiokafka_commits_and_aborts(broker: Broker) -> None:
    topic = new_topic(broker.bootstrap, "aiokafka")

    async def live() -> list[str]:
        who = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=topic)
        await who.start()
        committed: list[str] = []
        for n in range(4):
            await who.begin_transaction()
            values = [f"{n}-{m}" for m in range(8)]
            for m, value in enumerate(values):
                await who.send_and_wait(topic, value.encode(), partition=m % PARTITIONS)
            if n % 2:
                await who.abort_transaction()
            else:
                await who.commit_transaction()
                committed += values
        await who.stop()
        return committed

    committed = asyncio.run(live())
    assert read(broker.bootstrap, topic, end_all(broker.bootstrap, topic)) == sorted(committed)


def test_kafkajs_commits_aborts_and_sends_offsets(broker: Broker) -> None:
    source, target = new_topic(broker.bootstrap, "js-in"), new_topic(broker.bootstrap, "js-out")
    modules = installs.npm("kafkajs")
    script = pathlib.Path(__file__).parent / "kafkajs" / "transactions.js"
    done = subprocess.run(
        [str(installs.node() / "node"), str(script), broker.bootstrap, source, target,
         f"group-{source}", "20"],
        capture_output=True, text=True, timeout=90,
        env=os.environ | {"NODE_PATH": str(modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    committed = sorted([f"true-{n}" for n in range(10)] * 2)
    assert read(broker.bootstrap, source, end_all(broker.bootstrap, source)) == committed
    assert read(broker.bootstrap, target, end_all(broker.bootstrap, target)) == committed


@pytest.mark.kafka
def test_java_raises_its_epoch_at_every_transaction(broker: Broker) -> None:
    """KIP-890, as the Java client does it when the cluster's transaction.version is 2."""
    installs.kafka_jars()
    topic = new_topic(broker.bootstrap, "java")
    arguments = [
        "--topic", topic, "--num-records", "5000", "--record-size", "100",
        "--throughput", "5000", "--producer-props", f"bootstrap.servers={broker.bootstrap}",
        f"transactional.id={topic}", "--transaction-duration-ms", "50",
    ]  # fmt: skip
    done = tools.run("kafka-producer-perf-test", arguments, capture_output=True)
    assert "5000 records sent" in done.stdout, done.stdout + done.stderr
    asked = ["--bootstrap-server", broker.bootstrap]
    said = tools.run(
        "kafka-transactions", [*asked, "describe", "--transactional-id", topic],
        capture_output=True,
    ).stdout.splitlines()  # fmt: skip
    names, values = ([word.strip() for word in line.split("\t")] for line in said[:2])
    state = dict(zip(names, values, strict=True))
    assert state["TransactionState"] == "CompleteCommit"
    assert int(state["ProducerEpoch"]) > 1  # a slow machine has few transactions in that time
    listed = tools.run("kafka-transactions", [*asked, "list"], capture_output=True).stdout
    assert topic in listed


@pytest.mark.kafka
def test_features_go_down_and_up_with_kafka_s_tool(tmp_path: pathlib.Path) -> None:
    installs.kafka_jars()
    with BrokerProcess(tmp_path, workers=1) as broker:

        def features(*arguments: str, code: int = 0) -> str:
            done = tools.run(
                "kafka-features", ["--bootstrap-server", broker.bootstrap, *arguments],
                capture_output=True,
            )  # fmt: skip
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout + done.stderr

        def level(name: str) -> str:
            (line,) = [one for one in features("describe").splitlines() if f" {name} " in one]
            return line.split("FinalizedVersionLevel:")[1].split()[0]

        assert (level("transaction.version"), level("group.version")) == ("2", "1")
        off = ["downgrade", "--feature", "transaction.version=0", "--feature", "group.version=0"]
        assert "transaction.version was downgraded to 0" in features(*off)
        assert level("transaction.version") == "0"
        # A producer of the second generation keeps its epoch then.
        topic = new_topic(broker.bootstrap, "old")
        who = producer(broker.bootstrap, topic)
        who.begin_transaction()
        values = send(who, topic, "old")
        who.commit_transaction(DEADLINE_S)
        last = end_all(broker.bootstrap, topic)
        assert read(broker.bootstrap, topic, last) == sorted(values)
        refused = features("upgrade", "--feature", "transaction.version=3", code=1)
        assert "Local controller 1 only supports versions 0-2" in refused
        up = ["upgrade", "--feature", "transaction.version=2"]
        assert "can be upgraded" in features(*up, "--dry-run")
        assert level("transaction.version") == "0"
        assert "was upgraded to 2" in features(*up)
        assert level("transaction.version") == "2"
    with BrokerProcess(tmp_path, workers=1) as broker:
        assert level("transaction.version") == "2"
        assert level("group.version") == "0"


@pytest.mark.crash
def test_workers_that_are_killed_leave_nothing_undecided(tmp_path: pathlib.Path) -> None:
    """Both workers, one after the other, again and again while transactions run: all of each, or
    nothing; and none is open at the end."""
    with BrokerProcess(tmp_path, workers=2) as broker:
        topic = new_topic(broker.bootstrap, "killed")
        committed: set[str] = set()
        unknown: set[str] = set()
        who = producer(broker.bootstrap, topic)
        for n in range(12):
            if n % 3 == 2:
                victim = f"fb-worker-{n % 2}"
                os.kill(broker.roles()[victim], signal.SIGKILL)
            values: set[str] = set()
            try:
                who.begin_transaction()
                values = set(send(who, topic, str(n), 8))
                who.commit_transaction(DEADLINE_S)
                committed |= values
            except KafkaException as error:
                unknown |= values
                if error.args[0].txn_requires_abort():
                    who.abort_transaction(DEADLINE_S)
                else:
                    who = producer(broker.bootstrap, topic)
        found = set(read(broker.bootstrap, topic, end_all(broker.bootstrap, topic)))
        assert committed <= found <= committed | unknown
        for n in range(12):  # all or nothing
            assert len([value for value in found if value.startswith(f"{n}-")]) in (0, 8)
        assert len(committed) >= 8 * 4
        assert not [line for line in broker.lines if "Traceback" in line]
