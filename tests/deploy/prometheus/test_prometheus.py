"""A real Prometheus watches a real broker under load: what the dashboard and alerts ask of it."""
from __future__ import annotations

import contextlib
import math
import pathlib
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from tests.broker_process import BrokerProcess, free_ports, wait_until
from tests.deploy.prometheus import picture
from tests.deploy.prometheus.load import GROUPS, TOPICS, Load, Unread
from tests.deploy.prometheus.queries import (
    EVERYTHING,
    RULES,
    Query,
    dashboard,
    filled_in,
    queries,
    variables,
)
from tests.deploy.prometheus.server import Prometheus, promtool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DEADLINE_S = 60.0
SCRAPE_S = 2.0
# A metric's name in an expression, with what it asks of the labels.
SELECTOR = re.compile(r"\b(?:up|(?:kafka|fastbroker|process)_\w+)\b(?:{[^}]*})?")
# What kafka_exporter's own dashboard and Strimzi's alert rules for Kafka ask for.
OTHERS = {
    "kafka_consumergroup_current_offset",
    "kafka_consumergroup_lag",
    "kafka_topic_partition_current_offset",
    "kafka_topic_partitions",
    "kafka_controller_kafkacontroller_activecontrollercount",
    "kafka_controller_kafkacontroller_offlinepartitionscount",
    "kafka_log_logmanager_offlinelogdirectorycount",
    "kafka_server_replicamanager_underminisrpartitioncount",
    "kafka_server_replicamanager_underreplicatedpartitions",
}


@dataclass
class Watched:
    """A broker, its clients, and who watches it and another host, which is idle.

    Tests of this file run in order: the last ones stop the load and kill a worker.
    """

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
    port = free_ports(5)
    targets = [f"127.0.0.1:{port + 3}", f"127.0.0.1:{port + 4}"]
    listeners = [[f"fastbroker.metrics.listener={target}"] for target in targets]
    with (
        BrokerProcess(folder / "a", workers=2, port=port, settings=listeners[0]) as broker,
        BrokerProcess(folder / "b", workers=1, port=port + 2, settings=listeners[1]),
        Prometheus(
            folder / "prometheus", targets=targets, rules=RULES, every=f"{SCRAPE_S:.0f}s"
        ) as prometheus,
        Load(broker.bootstrap) as load,
    ):
        yield Watched(broker, load, prometheus, f"http://{targets[0]}/metrics")


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
    assert len(found["instance"]) == 2
    assert found["topic"] >= set(TOPICS)
    assert found["group"] == set(GROUPS)


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
    groups = watched.prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 20
    for rule in rules:
        assert (rule["health"], rule.get("lastError", "")) == ("ok", ""), rule["name"]
    selectors = {found for rule in rules for found in SELECTOR.findall(rule["query"])}

    def missing() -> set[str]:
        return {selector for selector in selectors if not watched.prometheus.query(selector)}

    # Without their comparisons: the series are there, but for the moment of a scrape that failed.
    wait_until(lambda: not missing(), DEADLINE_S, f"{missing()}")
    assert watched.prometheus.query('ALERTS{alertstate="firing"}') == []


def test_the_names_that_others_ask_for_are_there(watched: Watched) -> None:
    names = set(watched.prometheus.ask("label/__name__/values"))
    assert names >= OTHERS


def test_scrapes_succeed_and_are_quick(watched: Watched) -> None:
    """But for one now and then, where the tests of other files take the processor."""
    share = watched.prometheus.values("avg_over_time(up[1h])", "instance")
    assert len(share) == 2
    assert min(share.values()) > 0.8
    usual = "quantile_over_time(0.5, scrape_duration_seconds[1h])"
    assert max(watched.prometheus.values(usual, "instance").values()) < SCRAPE_S / 4


def test_lag_is_what_a_client_counts(watched: Watched) -> None:
    """For each partition that a group has committed: read it from there to its end, and count."""
    watched.load.stop()
    assert watched.load.failures == []
    stopped = time.time()
    ask, labels = watched.prometheus.values, ("consumergroup", "topic", "partition")

    def expect(expression: str, by: tuple[str, ...], values: Mapping[tuple[str, ...], int]) -> None:
        with contextlib.suppress(AssertionError):  # told below, with what is different
            wait_until(lambda: ask(expression, *by) == values, 5 * SCRAPE_S, expression)
        assert ask(expression, *by) == values

    def seen_since() -> bool:
        return ask("min(timestamp(kafka_consumergroup_lag))").get((), 0) > stopped + SCRAPE_S

    wait_until(seen_since, DEADLINE_S, "a scrape after the load")
    keys = [
        (group, topic, str(partition))
        for group, topics in GROUPS.items()
        for topic in topics
        for partition in range(TOPICS[topic])
    ]
    with ThreadPoolExecutor(len(keys)) as pool:
        unread = pool.map(partial(Unread, watched.broker.bootstrap), keys)
        everything = dict(zip(keys, unread, strict=True))
    counted = {key: one for key, one in everything.items() if one.committed >= 0}
    offsets = {key: one.offsets for key, one in counted.items()}
    nothing = dict.fromkeys(everything.keys() - counted.keys(), -1)  # nothing is committed there
    expect("kafka_consumergroup_lag", labels, nothing | offsets)
    committed = {key: one.committed for key, one in counted.items()}
    expect("kafka_consumergroup_current_offset", labels, nothing | committed)
    for (_, topic, _), one in counted.items():  # markers of transactions have offsets, too
        assert one.records == one.offsets or topic == "payments"
    assert sum(offsets.values()) > 100
    sums: dict[tuple[str, ...], int] = {}
    for (group, topic, _), offset in offsets.items():
        sums[group, topic] = sums.get((group, topic), 0) + offset
    expect("kafka_consumergroup_lag_sum", ("consumergroup", "topic"), sums)
    expect("kafka_consumergroup_members == 0", ("consumergroup",), {("audit",): 0, ("billing",): 0})

    age = "timestamp(fastbroker_consumergroup_lag_seconds) - fastbroker_consumergroup_lag_seconds"
    began_at = f"({age}) and fastbroker_consumergroup_lag_seconds > 0"
    first = {key: one.first_timestamp_ms for key, one in counted.items() if one.first_timestamp_ms}
    wait_until(lambda: ask(began_at, *labels).keys() == first.keys(), 5 * SCRAPE_S, f"{first}")
    began = ask(began_at, *labels)
    for key, timestamp_ms in first.items():
        assert abs(began[key] - timestamp_ms / 1000) < SCRAPE_S, key


def test_a_killed_worker_is_told(watched: Watched) -> None:
    watched.broker.kill("fb-worker-1")

    def fires() -> bool:
        firing = watched.prometheus.values('ALERTS{alertstate="firing"}', "alertname", "process")
        return set(firing) == {("FastbrokerProcessRestarted", "worker-1")}

    wait_until(fires, DEADLINE_S, "the alert of a restart")
    (marks,) = dashboard()["annotations"]["list"]
    assert watched.prometheus.query(filled_in(marks["expr"]))
