"""/metrics of a real host: what it says is what was done to it."""
from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from fastbroker.metrics import catalogue as c
from tests.broker_process import ROOT, BrokerProcess, free_ports, wait_until
from tests.metrics.text import Text

DEADLINE_S = 20.0
RECORDS, SIZE, PARTITIONS = 500, 1000, 4
TOPIC = "watched"
PROCESSES = ("controller", "worker-0", "worker-1")


class Watched:
    """A broker with two workers, and its metrics."""

    def __init__(self, data_dir: pathlib.Path) -> None:
        port = free_ports(3)
        self.port = port + 2
        listener = f"fastbroker.metrics.listener=127.0.0.1:{self.port}"
        self.broker = BrokerProcess(data_dir, workers=2, port=port, settings=[listener])

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as found:
                return found.status, found.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def page(self) -> Text:
        status, text = self.get("/metrics")
        assert status == 200
        return Text(text)

    def up(self) -> list[float]:
        text = self.page()
        return [text.value(c.UP.name, process=name) for name in PROCESSES]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    one = Watched(tmp_path_factory.mktemp("data"))
    with one.broker:
        # It is not waited for by `ready`, but who connects is served.
        assert one.up() == [1, 1, 1]
        yield one


def traffic(bootstrap: str) -> int:
    """Records into every partition and out again by a group; how many were read."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(DEADLINE_S)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for n in range(RECORDS):
        producer.produce(TOPIC, os.urandom(SIZE), partition=n % PARTITIONS)
    assert producer.flush(DEADLINE_S) == 0
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "watchers", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    read = 0
    while read < RECORDS:
        found = consumer.consume(RECORDS, DEADLINE_S)
        assert found, "no more records"
        assert not any(message.error() for message in found)
        read += len(found)
    consumer.commit(asynchronous=False)
    consumer.close()
    return read


def test_what_is_told_is_what_was_sent(watched: Watched) -> None:
    assert traffic(watched.broker.bootstrap) == RECORDS

    def is_told() -> bool:
        groups = watched.page().sum(c.REQUESTS.name, request="LeaveGroup")
        return groups == 1  # the last that was done

    wait_until(is_told, DEADLINE_S, "a page from after all of it")
    text = watched.page()
    assert text.sum(c.MESSAGES_IN.name, topic=TOPIC) == RECORDS
    size = text.sum(c.BYTES_IN.name, topic=TOPIC)
    assert RECORDS * SIZE < size < RECORDS * (SIZE + 200)
    assert text.sum(c.BYTES_OUT.name, topic=TOPIC) >= size
    assert text.sum(c.LOG_SIZE.name, topic=TOPIC) == size
    for number in range(PARTITIONS):
        where = {"topic": TOPIC, "partition": str(number)}
        assert text.value(c.CURRENT_OFFSET.name, **where) == RECORDS / PARTITIONS
        assert text.value(c.OLDEST_OFFSET.name, **where) == 0
        assert text.value(c.LEADER.name, **where) in (1, 1001)
    assert text.value(c.TOPIC_PARTITIONS.name, topic=TOPIC) == PARTITIONS
    # Both workers, by the same names.
    leaders = {dict(key)["process"] for key in text.all(c.MESSAGES_IN.name)}
    assert leaders == {"worker-0", "worker-1"}


def test_requests_add_up(watched: Watched) -> None:
    text = watched.page()
    produced = text.sum(c.REQUESTS.name, request="Produce")
    assert 2 <= produced <= RECORDS
    stages = {"queue", "append", "flush", "replicate", "send", "total"}
    counts = {
        stage: text.sum(f"{c.STAGE.name}_count", request="Produce", stage=stage)
        for stage in stages
    }
    assert counts == dict.fromkeys(stages, produced)
    seconds = {
        stage: text.sum(f"{c.STAGE.name}_sum", request="Produce", stage=stage) for stage in stages
    }
    parts = sum(seconds[one] for one in ("queue", "append", "flush", "send"))
    assert seconds["replicate"] == 0
    assert parts == pytest.approx(seconds["total"], rel=0.05)
    sent, taken = text.sum(c.REQUEST_BYTES.name, request="Produce"), text.sum(c.BYTES_IN.name)
    assert sent > RECORDS * SIZE
    assert taken > RECORDS * SIZE
    flushed = text.sum(f"{c.FLUSH_BATCHES.name}_sum")
    assert flushed >= produced
    assert text.sum(c.FLUSH_BYTES.name) >= RECORDS * SIZE
    assert text.sum(f"{c.FLUSH_SECONDS.name}_count") <= flushed
    assert text.sum(f"{c.LOOP_DELAY.name}_count", process="controller") > 0


def test_an_error_is_counted_by_its_name(watched: Watched) -> None:
    def count() -> float:
        error = "UNKNOWN_TOPIC_OR_PARTITION"
        return watched.page().sum(c.ERRORS.name, request="DeleteTopics", error=error)

    before = count()
    admin = AdminClient({"bootstrap.servers": watched.broker.bootstrap})
    answer = admin.delete_topics(["no-such-topic"])["no-such-topic"]
    assert answer.exception(DEADLINE_S) is not None
    wait_until(lambda: count() == before + 1, DEADLINE_S, "the error")
    assert watched.page().sum(c.ERRORS.name, error="NONE") == 0


def test_every_family_is_in_the_catalogue_and_has_its_labels(watched: Watched) -> None:
    text = watched.page()
    assert len(text.families) > 60
    for name, family in text.families.items():
        wanted = c.FAMILIES[name]
        assert (family.kind, family.help) == (wanted.kind, wanted.help)
        for _, labels in family.samples:
            assert {label for label, _ in labels} - {"le"} == set(wanted.labels), name


def test_groups_and_connections_come_and_go(watched: Watched) -> None:
    bootstrap = watched.broker.bootstrap
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "coming"})
    consumer.subscribe([TOPIC])
    wait_until(lambda: consumer.poll(0.05) or consumer.assignment(), DEADLINE_S, "a member")

    def stable() -> float:
        return watched.page().sum(c.GROUPS.name, protocol="classic", state="Stable")

    wait_until(lambda: stable() == 1, DEADLINE_S, "a stable group")
    text = watched.page()
    assert text.sum(c.GROUP_MEMBERS.name, protocol="classic") == 1
    open_ones = text.sum(c.CONNECTIONS.name)
    assert open_ones > 0
    consumer.close()
    wait_until(lambda: stable() == 0, DEADLINE_S, "an empty group")
    wait_until(
        lambda: watched.page().sum(c.CONNECTIONS.name) < open_ones, DEADLINE_S, "fewer connections"
    )


def test_a_worker_that_hangs_fails_no_scrape(watched: Watched) -> None:
    pid = watched.broker.roles()["fb-worker-1"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: watched.up() == [1, 1, 0], DEADLINE_S, "a page without it")
        status, said = watched.get("/healthz")
        assert (status, said) == (503, "no answer from worker-1\n")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: watched.up() == [1, 1, 1], DEADLINE_S, "its answer")
    assert watched.get("/healthz") == (200, "ok\n")


@pytest.mark.crash
def test_processes_that_end_are_counted(watched: Watched) -> None:
    for role in "fb-worker-1", "fb-gateway":
        killed = watched.broker.kill(role)
        wait_until(
            lambda role=role, killed=killed: watched.broker.roles().get(role) not in (None, killed),
            DEADLINE_S,
            "its successor",
        )

    def restarts(process: str) -> float:
        return watched.page().value(c.RESTARTS.name, process=process)

    assert (restarts("worker-1"), restarts("gateway"), restarts("controller")) == (1, 1, 0)
    wait_until(lambda: watched.up() == [1, 1, 1], DEADLINE_S, "all processes")
    where = {"topic": TOPIC, "partition": "0"}
    wait_until(
        lambda: frozenset(where.items()) in watched.page().all(c.CURRENT_OFFSET.name),
        DEADLINE_S,
        "what was written before",
    )


def test_an_address_that_is_taken_ends_the_start(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", str(tmp_path)]
        command += ["--set", f"fastbroker.metrics.listener=127.0.0.1:{port}"]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S
        )
    assert ended.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "choose another with fastbroker.metrics.listener" in ended.stderr


def test_without_a_listener_nothing_is_there(tmp_path: pathlib.Path) -> None:
    with BrokerProcess(tmp_path / "data", workers=1) as broker:
        assert set(broker.roles()) == {"fb-controller", "fb-worker-0"}
        assert not list((tmp_path / "data" / "run").glob("metrics-*"))
