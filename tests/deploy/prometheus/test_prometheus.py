"""A real Prometheus watches a real broker under load: what the dashboard and alerts ask of it."""
from __future__ import annotations

import math
import pathlib
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.broker_process import BrokerProcess, free_ports, wait_until
from tests.deploy.prometheus import picture
from tests.deploy.prometheus.load import GROUPS, TOPICS, Load, Unread
from tests.deploy.prometheus.queries import EVERYTHING, RULES, Query, queries, variables
from tests.deploy.prometheus.server import Prometheus, promtool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DEADLINE_S = 60.0
SCRAPE_S = 1.0
NAME = re.compile(r"\b(?:up|(?:kafka|fastbroker|process)_\w+)\b")


@dataclass
class Watched:
    """A broker, its clients, and who watches. Tests of this file run in order: the last ones stop
    the load and kill a worker."""

    broker: BrokerProcess
    load: Load
    prometheus: Prometheus
    metrics_url: str

    def metrics(self) -> str:
        """/metrics as it is now."""
        with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def has_data(self, query: Query) -> bool:
        """Whether some series of `query` has a number."""
        found = self.prometheus.query(query.expression)
        return any(math.isfinite(float(series["value"][1])) for series in found)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_ports(3)
    target = f"127.0.0.1:{port + 2}"
    listener = f"fastbroker.metrics.listener={target}"
    with (
        BrokerProcess(folder / "data", workers=2, port=port, settings=[listener]) as broker,
        Prometheus(folder / "prometheus", targets=[target], rules=RULES) as prometheus,
        Load(broker.bootstrap) as load,
    ):
        yield Watched(broker, load, prometheus, f"http://{target}/metrics")


def test_every_query_of_the_dashboard_returns_data(watched: Watched) -> None:
    missing = list(queries())

    def all_have_data() -> bool:
        missing[:] = [query for query in missing if not watched.has_data(query)]
        return not missing

    try:
        wait_until(all_have_data, DEADLINE_S, "data")
    except AssertionError:
        pytest.fail("no data:\n" + "\n".join(map(str, missing)))
    assert watched.load.failures == []


def test_every_variable_of_the_dashboard_has_values(watched: Watched) -> None:
    found = {}
    for name, selector, label in variables():
        series = watched.prometheus.ask("series", **{"match[]": selector})
        found[name] = {one[label] for one in series if label in one}
    assert found["job"] == {"fastbroker"}
    assert len(found["instance"]) == 1
    assert found["topic"] >= set(TOPICS)
    assert found["group"] == GROUPS


def test_no_panel_is_empty_when_drawn(watched: Watched) -> None:
    page = picture.page(watched.prometheus.ask, seconds=20, variables=EVERYTHING)
    assert "No data" not in page
    assert page.count("<svg") > 30


def test_promtool_finds_nothing_wrong_with_what_is_served(
    watched: Watched, tmp_path: pathlib.Path
) -> None:
    checked = promtool("check", "metrics", cwd=tmp_path, given=watched.metrics())
    assert (checked.returncode, checked.stdout) == (0, "")


def test_every_alert_asks_for_what_is_there_and_none_fires(watched: Watched) -> None:
    (names,) = [watched.prometheus.ask("label/__name__/values")]
    rules = [
        rule
        for group in watched.prometheus.ask("rules")["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) >= 20
    for rule in rules:
        assert (rule["health"], rule.get("lastError", "")) == ("ok", ""), rule["name"]
        unknown = set(NAME.findall(rule["query"])) - set(names)
        assert not unknown, rule["name"]
    # What an alert compares is there, for the labels that it asks for.
    for rule in rules:
        if not rule["query"].startswith("absent"):
            assert watched.prometheus.query(_left_side(rule["query"])), rule["query"]
    assert watched.prometheus.query('ALERTS{alertstate="firing"}') == []


def test_no_scrape_failed_or_was_slow(watched: Watched) -> None:
    assert watched.prometheus.values("min_over_time(up[1h])") == {(): 1.0}
    (slowest,) = watched.prometheus.values("max_over_time(scrape_duration_seconds[1h])").values()
    assert slowest < SCRAPE_S


def test_lag_is_what_a_client_counts(watched: Watched) -> None:
    """For each partition that a group has committed: read it from there to its end, and count."""
    watched.load.stop()
    assert watched.load.failures == []
    stopped = time.time()
    ask, labels = watched.prometheus.values, ("consumergroup", "topic", "partition")

    def seen_since() -> bool:
        return ask("min(timestamp(kafka_consumergroup_lag))")[()] > stopped + SCRAPE_S

    wait_until(seen_since, DEADLINE_S, "a scrape after the load")
    counted = {
        (group, topic, str(partition)): Unread(watched.broker.bootstrap, group, topic, partition)
        for group in GROUPS
        for topic, partitions in TOPICS.items()
        for partition in range(partitions)
    }
    counted = {key: unread for key, unread in counted.items() if unread.committed >= 0}
    offsets = {key: unread.offsets for key, unread in counted.items()}
    assert ask("kafka_consumergroup_lag", *labels) == offsets
    assert ask("kafka_consumergroup_current_offset", *labels) == {
        key: unread.committed for key, unread in counted.items()
    }
    for (_, topic, _), unread in counted.items():  # markers of transactions have offsets, too
        assert unread.records == unread.offsets or topic == "payments"
    assert sum(offsets.values()) > 100
    sums: dict[tuple[str, ...], int] = {}
    for (group, topic, _), offset in offsets.items():
        sums[group, topic] = sums.get((group, topic), 0) + offset
    assert ask("kafka_consumergroup_lag_sum", "consumergroup", "topic") == sums
    assert ask("kafka_consumergroup_members", "consumergroup")[("audit",)] == 0

    age = "timestamp(fastbroker_consumergroup_lag_seconds) - fastbroker_consumergroup_lag_seconds"
    began = ask(f"({age}) and fastbroker_consumergroup_lag_seconds > 0", *labels)
    first = {key: one.first_timestamp_ms for key, one in counted.items() if one.first_timestamp_ms}
    assert began.keys() == first.keys()
    for key, timestamp_ms in first.items():
        assert abs(began[key] - timestamp_ms / 1000) < 2 * SCRAPE_S, key


def test_a_killed_worker_is_told(watched: Watched) -> None:
    watched.broker.kill("fb-worker-1")

    def fires() -> bool:
        firing = watched.prometheus.values('ALERTS{alertstate="firing"}', "alertname", "process")
        return set(firing) == {("FastbrokerProcessRestarted", "worker-1")}

    wait_until(fires, DEADLINE_S, "the alert of a restart")


def _left_side(expression: str) -> str:
    """What the first comparison of `expression` compares."""
    return re.split(r" (?:==|<|>) ", expression)[0]
