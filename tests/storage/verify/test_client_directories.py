"""Nothing is wrong with directories as brokers leave them, whatever clients did, and however the
broker ended: ours, and Apache Kafka's, whose index files are larger than they are filled."""
from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import pytest

from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.finding import Finding, Severity
from fastbroker.storage.verify.partition import Tally
from fastbroker.storage.verify.tree import running_in, verify
from tests.apache_kafka.broker import KafkaNode
from tests.broker_process import BrokerProcess, wait_until
from tests.interop.installs import kafka_jars
from tests.storage.verify import workload

pytestmark = pytest.mark.timeout(300)
CLEANS_OFTEN = {"log.cleaner.backoff.ms": "200", "log.initial.task.delay.ms": "100"}


class Broker(Protocol):
    """Either broker."""

    @property
    def bootstrap(self) -> str: ...
    def start(self) -> object: ...
    def stop(self) -> object: ...


class Case(NamedTuple):
    """A broker to be started, and its files."""

    broker: Broker
    data: pathlib.Path
    is_kafka: bool

    def kill(self) -> None:
        if isinstance(self.broker, BrokerProcess):
            self.broker.kill_all()
            return
        assert isinstance(self.broker, KafkaNode)
        assert self.broker._process is not None
        os.kill(self.broker._process.pid, signal.SIGKILL)
        self.broker._process.wait(30)


@pytest.fixture(params=["fastbroker", pytest.param("kafka", marks=pytest.mark.kafka)])
def case(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Case]:
    if request.param == "kafka":
        kafka_jars()
        node = KafkaNode(tmp_path / "kafka", settings=CLEANS_OFTEN)
        yield Case(node, tmp_path / "kafka" / "data", True)
        node.stop()
        return
    process = BrokerProcess(tmp_path / "data", workers=2)
    yield Case(process, tmp_path / "data", False)
    process.stop()


def checked(data: pathlib.Path) -> tuple[list[Finding], Tally]:
    found: list[Finding] = []
    tally = Tally()
    for _, verdict in verify(Disk(), str(data)):
        found += verdict.findings
        tally += verdict.tally
    return found, tally


def test_nothing_is_wrong_with_what_a_broker_leaves(case: Case, tmp_path: pathlib.Path) -> None:
    case.broker.start()
    workload.create_topics(case.broker.bootstrap)
    workload.produce(case.broker.bootstrap)
    producer = workload.transact(case.broker.bootstrap, last_is_open=True)
    workload.consume(case.broker.bootstrap)
    if case.is_kafka:
        cleaned = case.data / "cleaner-offset-checkpoint"
        wait_until(lambda: "latest" in cleaned.read_text(), 60, "a compaction")
        workload.produce(case.broker.bootstrap)

    assert running_in(Disk(), str(case.data))
    found, tally = checked(case.data)
    assert found == [], "while it runs"
    assert tally.records > 3000

    case.kill()
    copy = tmp_path / "killed"
    shutil.copytree(case.data, copy, ignore=shutil.ignore_patterns("*.sock"))
    found, _ = checked(copy)
    assert not [one for one in found if one.severity > Severity.NOTE], "killed"

    case.broker.start()
    workload.produce(case.broker.bootstrap)
    workload.transact(case.broker.bootstrap, last_is_open=False)
    case.broker.stop()
    assert not running_in(Disk(), str(case.data))
    found, tally = checked(case.data)
    if case.is_kafka:  # it leaves the files of cleaned segments for the next start to remove
        assert {one.remedy for one in found} <= {"removes it"}, "stopped"
    else:
        assert found == [], "stopped"
    assert tally.segments > tally.partitions, "segments were rolled"
    del producer
