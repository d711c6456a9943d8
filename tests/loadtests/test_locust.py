"""Real runs of locust: statistics are there and right, reports are written, errors are counted."""
from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from loadtests.report import write
from loadtests.report.figures import Figures
from tests.broker_process import BrokerProcess, free_ports, wait_until
from tests.loadtests.locust_run import LocustRun
from tests.loadtests.test_report import cells, is_picture

pytestmark = [pytest.mark.interop, pytest.mark.slow]

DEADLINE_S = 60.0
PRODUCED, CONSUMED = "produce record", "consume record"
OPERATIONS = [
    PRODUCED, CONSUMED, "end-to-end acknowledged", "end-to-end read", "admin create-topic",
    "admin delete-topic", "admin describe-group", "admin describe-topic", "admin list-groups",
]  # fmt: skip


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("broker") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def runs(
    broker: BrokerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, LocustRun]]:
    """All runs side by side: they mostly wait. The broker of `away` is killed when it has records.

    `nobody` has no broker at all.
    """
    folder = tmp_path_factory.mktemp("runs")
    short_lived = BrokerProcess(folder / "data", workers=1)
    short_lived.start()
    log = folder / "data" / "broker-1" / "away-0" / f"{0:020}.log"
    options = {
        "away": ["ProducerUser", "EndToEndUser", "-u", "5", "-t", "5s", "--shape", "spike",
                 "--rate", "200", "--timeout", "1"],
        "nobody": ["-u", "1", "-t", "60s", "--timeout", "0.5"],
        "ramp": ["-u", "8", "-t", "6s", "--shape", "ramp", "--rate", "500", "--offset",
                 "earliest", "--probe-interval", "0.05", "--broker-pid", str(broker.pid)],
        "soak": ["ProducerUser", "ConsumerUser", "-u", "4", "-t", "8s", "--shape", "soak",
                 "--transactional", "--txn-records", "100", "--rate", "300", "--keys", "10",
                 "--compression", "zstd", "--group-protocol", "consumer", "--processes", "2",
                 "--offset", "earliest", "--client-config", "isolation.level=read_committed"],
        "web": ["ProducerUser", "--web-port", str(free_ports(1)), "--web-host", "127.0.0.1",
                "--size", "100"],
    }  # fmt: skip
    bootstrap = {"away": short_lived.bootstrap, "nobody": "127.0.0.1:1"}
    started = {
        name: LocustRun(
            folder / name, bootstrap.get(name, broker.bootstrap), "--topic", name, *told
        )
        for name, told in options.items()
    }
    try:
        wait_until(lambda: log.exists() and log.stat().st_size, DEADLINE_S, "the first records")
        short_lived.kill_all()
        yield started
    finally:
        short_lived.stop()
        for run in started.values():
            if run.running:
                run.stop()


def read_back(broker: BrokerProcess, topic: str) -> list[int]:
    """Sizes of the values of all committed records of a topic."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": "reader", "enable.auto.commit": False,
        "enable.partition.eof": True,
    })  # fmt: skip
    partitions = list(consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    sizes, open_ones, end = [], set(partitions), time.monotonic() + DEADLINE_S
    while open_ones:
        assert time.monotonic() < end, "the topic has no end"
        for message in consumer.consume(1000, 1.0):
            if message.error():
                open_ones.discard(message.partition())
            else:
                sizes.append(len(message.value()))
    consumer.close()
    return sizes


def counts(run: LocustRun) -> dict[str, int]:
    return {row.operation: row.count for row in Figures(run.told()).rows()}


def users_over_time(run: LocustRun) -> list[float]:
    return [users for _, users in Figures(run.told()).gauge_points("users")]


def test_every_user_is_counted_and_reported(
    broker: BrokerProcess, runs: dict[str, LocustRun]
) -> None:
    run = runs["ramp"]
    assert run.wait() == 0, run.said()
    statistics, found = run.statistics(), counts(run)
    assert list(found) == OPERATIONS
    for operation in OPERATIONS:
        assert found[operation] > 0, operation
        assert statistics[operation]["num_requests"] == found[operation]
        assert statistics[operation]["num_failures"] == 0
        assert statistics[operation]["response_times"]
    sizes = read_back(broker, "ramp")
    assert len(sizes) == found[PRODUCED]
    assert 0 < found[CONSUMED] <= found[PRODUCED]
    assert sum(sizes) == sum(
        slot["cells"][PRODUCED]["bytes"]
        for slot in run.told()["series"]["slots"].values() if PRODUCED in slot["cells"]
    )  # fmt: skip
    assert len(read_back(broker, "ramp-probe")) == found["end-to-end acknowledged"]
    users = users_over_time(run)
    assert users[0] < max(users) == users[-1], "a ramp"
    assert "(8 total users)" in run.said()


def test_the_report_of_a_run(runs: dict[str, LocustRun]) -> None:
    run = runs["ramp"]
    assert run.wait() == 0, run.said()
    text = (run.report / write.TABLE).read_text()
    assert "the broker: " in text
    rows = cells(text)
    assert rows[PRODUCED][7:] == [f"{counts(run)[PRODUCED]:,}", "0"]
    assert float(rows["end-to-end read"][2]) > 0
    assert text in run.said(), "the table is the last that is printed"
    assert is_picture(run.report / write.PICTURE)


def test_transactions_of_two_processes(broker: BrokerProcess, runs: dict[str, LocustRun]) -> None:
    run = runs["soak"]
    assert run.wait() == 0, run.said()
    found = counts(run)
    assert found["transaction commit"] > 0
    assert run.statistics()[PRODUCED]["num_requests"] == found[PRODUCED]
    assert len(read_back(broker, "soak")) == found[PRODUCED], "all of them committed"
    assert 0 < found[CONSUMED] <= found[PRODUCED]
    assert users_over_time(run)[-1] == max(users_over_time(run)) == 4, "a soak"


def test_the_web_page_starts_and_stops_a_run(
    broker: BrokerProcess, runs: dict[str, LocustRun]
) -> None:
    run = runs["web"]
    page = f"http://127.0.0.1:{run.web_port}"

    def get(path: str, form: dict[str, str] | None = None) -> str:
        data = None if form is None else urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(page + path, data, timeout=DEADLINE_S) as answer:
            return answer.read().decode()

    def answers() -> bool:
        try:
            page = get("/")
            return broker.bootstrap in page and "in_flight" in page
        except OSError:
            return False

    def produced() -> int:
        entries: list[dict[str, Any]] = json.loads(get("/stats/requests"))["stats"]
        return sum(one["num_requests"] for one in entries if one["name"] == "record")

    wait_until(answers, DEADLINE_S, "the page with our options")
    get("/swarm", {"user_count": "2", "spawn_rate": "2", "size": "200", "rate": "100"})
    wait_until(lambda: produced() > 50, DEADLINE_S, "records in locust's statistics")
    get("/stop", {})
    wait_until((run.report / write.PICTURE).exists, DEADLINE_S, "the report of a run")
    assert run.stop() == 0, run.said()
    assert set(read_back(broker, "web")) == {200}, "what the form says is what is done"
    assert len(read_back(broker, "web")) == counts(run)[PRODUCED]


@pytest.mark.crash
def test_errors_are_counted_while_the_broker_is_away(runs: dict[str, LocustRun]) -> None:
    run = runs["away"]
    assert run.wait() == 1, "locust's exit status for failures"
    figures = Figures(run.told())
    errors = {row.operation: row.errors for row in figures.rows()}
    assert set(errors[PRODUCED]) <= {"_MSG_TIMED_OUT", "_TIMED_OUT"}
    assert sum(errors["client connection"].values()) > 0
    failed = run.statistics()[PRODUCED]["num_failures"]
    assert failed == sum(errors[PRODUCED].values()) > 0
    assert "_MSG_TIMED_OUT" in run.said()
    users = users_over_time(run)
    assert users[0] < max(users) > users[-1], "a spike"


def test_nobody_there(runs: dict[str, LocustRun]) -> None:
    run = runs["nobody"]
    assert run.wait() == 1
    assert "no topics: _TRANSPORT" in run.said()
    assert "Traceback" not in run.said()
