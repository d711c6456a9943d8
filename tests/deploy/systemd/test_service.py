"""The unit: started, watched, reloaded, killed and stopped by a real systemd.

The tests share one host, in this order; each leaves the service running.
"""
from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from tests.broker_process import wait_until
from tests.deploy.systemd.conftest import Figure
from tests.deploy.systemd.service import (
    CONFIG,
    DEADLINE_S,
    WORKERS,
    Service,
    seconds_since,
    service,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WATCHDOG_S = 4  # in place of the unit's, so that nobody waits for a minute
EXPOSURE_MAX = 2.0


@pytest.fixture(scope="module")
def broker() -> Iterator[Service]:
    with service() as one:
        one.install(args="--no-start")
        one.configure()
        one.drop_in(f"[Service]\nWatchdogSec={WATCHDOG_S}\n")
        one.host.run("systemctl start fastbroker")
        yield one


def admin(broker: Service) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap, "socket.timeout.ms": 5000})


def value_of(broker: Service, key: str) -> tuple[str, int]:
    """A broker's value and where it comes from, as a client is told."""
    asked = ConfigResource(ResourceType.BROKER, "1")
    client = admin(broker)  # held until it has answered
    entry = client.describe_configs([asked])[asked].result(10)[key]
    return entry.value, entry.source


def serves(broker: Service) -> bool:
    """Whether every worker takes a record."""
    answers: list[object] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 5000})
    for partition in range(WORKERS):
        producer.produce(
            "kept", b"one", partition=partition, on_delivery=lambda e, m: answers.append(e)
        )
    producer.flush(10)
    return answers == [None] * WORKERS


def test_it_is_started_when_every_worker_accepts(broker: Service, figure: Figure) -> None:
    assert broker.show("ActiveState") == "active", "systemctl start has waited"
    client = admin(broker)
    client.create_topics([NewTopic("kept", WORKERS, 1)])["kept"].result(10)
    assert serves(broker)
    status = re.compile(rf"{WORKERS} of {WORKERS} workers serving {WORKERS} partitions to \d+ conn")
    wait_until(lambda: status.match(broker.show("StatusText")), DEADLINE_S, "the status line")
    figure("status line", broker.show("StatusText"))


def test_the_sandbox(broker: Service, figure: Figure) -> None:
    said = broker.host.run("systemd-analyze security fastbroker --no-pager")
    found = re.search(r"Overall exposure level for \S+ ([\d.]+) (\w+)", said)
    assert found, said
    figure("systemd-analyze security", f"{found[1]} ({found[2]})")
    assert float(found[1]) < EXPOSURE_MAX
    # And as the broker's processes have it.
    status = broker.host.run(f"cat /proc/{broker.pid('worker-0')}/status")
    assert re.search(r"CapEff:\t0+\n", status)
    assert re.search(r"NoNewPrivs:\t1\n", status)
    assert re.search(r"Seccomp:\t2\n", status)


def test_metrics_pass_the_sandbox(broker: Service) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.metrics_port}/metrics") as answer:
        said = answer.read().decode()
    assert 'fastbroker_process_restarts_total{process="worker-1"} 0' in said


def test_log_lines_have_fields(broker: Service) -> None:
    (entry,) = [e for e in broker.journal("FASTBROKER_PROCESS=controller") if
                "is ready" in e["MESSAGE"]]  # fmt: skip
    assert re.fullmatch(r"controller 1 of cluster \S+ is ready", entry["MESSAGE"])
    assert entry["PRIORITY"] == "6"
    assert entry["FASTBROKER_LOGGER"] == "fastbroker.controller.main"
    assert entry["SYSLOG_IDENTIFIER"] == "fastbroker"


def test_reload_changes_what_it_can_and_names_the_rest(broker: Service) -> None:
    cursor = broker.cursor()
    supervisor = broker.pid("supervisor")
    broker.configure("log.retention.ms=86400000", "num.partitions=3")
    broker.host.run("systemctl reload fastbroker")
    wait_until(
        lambda: value_of(broker, "log.retention.ms")[0] == "86400000", DEADLINE_S, "the new value"
    )
    broker.wait_for_journal("these changes need a restart: num.partitions", cursor)
    broker.wait_for_journal("reloaded: log.retention.ms=86400000", cursor)
    assert value_of(broker, "num.partitions")[0] == "1"
    broker.wait_until_active()
    assert broker.pid("supervisor") == supervisor


def test_reload_of_a_wrong_file_fails_and_changes_nothing(broker: Service) -> None:
    cursor = broker.cursor()
    broker.configure("log.retention.ms=1000", "log.retentoin.bytes=7")
    lines = broker.host.run(f"cat {CONFIG}").splitlines()
    place = f"{CONFIG}:{lines.index('log.retentoin.bytes=7') + 1}"
    assert broker.host.run("systemctl reload fastbroker", status=None)
    broker.wait_for_journal(f"{place}: unknown key 'log.retentoin.bytes'", cursor)
    # Whoever sends the signal by hand is told by the broker.
    broker.host.run(f"kill -HUP {broker.pid('supervisor')}")
    broker.wait_for_journal(f"the configuration is as it was: {place}", cursor)
    wait_until(lambda: place in broker.show("StatusText"), DEADLINE_S, "the status line")
    assert value_of(broker, "log.retention.ms")[0] == "86400000"
    broker.wait_until_active()
    assert broker.show("NRestarts") == "0"
    broker.configure()


@pytest.mark.parametrize("process", ["worker-1", "controller"])
def test_a_killed_process_is_started_again(
    broker: Service, figure: Figure, process: str
) -> None:
    supervisor = broker.pid("supervisor")
    old, begun = broker.kill(process, "KILL"), time.monotonic()
    wait_until(lambda: broker.pid(process) not in (0, old), DEADLINE_S, "another process")
    wait_until(lambda: serves(broker), DEADLINE_S, "every worker")
    figure(f"kill -9 of {process}: serves after", f"{seconds_since(begun):.1f} s")
    assert broker.pid("supervisor") == supervisor
    assert broker.show("NRestarts") == "0"


def test_a_killed_supervisor_is_started_again_by_systemd(
    broker: Service, figure: Figure
) -> None:
    old, begun = broker.kill("supervisor", "KILL"), time.monotonic()
    wait_until(lambda: broker.pid("supervisor") not in (0, old), DEADLINE_S, "another process")
    wait_until(lambda: serves(broker), DEADLINE_S, "every worker")
    figure("kill -9 of the supervisor: serves after", f"{seconds_since(begun):.1f} s")
    broker.wait_until_active()
    assert broker.show("NRestarts") == "1"


def test_a_hung_worker_is_restarted_by_the_watchdog(broker: Service, figure: Figure) -> None:
    cursor, supervisor = broker.cursor(), broker.pid("supervisor")
    old, begun = broker.kill("worker-1", "STOP"), time.monotonic()
    wait_until(lambda: broker.pid("worker-1") not in (0, old), DEADLINE_S, "another process")
    wait_until(lambda: serves(broker), DEADLINE_S, "every worker")
    took_s = seconds_since(begun)
    figure(f"a stopped worker: serves after (WatchdogSec={WATCHDOG_S})", f"{took_s:.1f} s")
    broker.wait_for_journal("worker-1 has not answered for 2.0 s: it is ended", cursor)
    assert broker.pid("supervisor") == supervisor, "the others went on"
    assert WATCHDOG_S / 2 - 0.5 <= took_s < DEADLINE_S


def test_a_busy_loop_tells_where_it_hangs(broker: Service) -> None:
    """SIGABRT, which comes first, has a process tell its stack; only a stopped one does not."""
    cursor = broker.cursor()
    old = broker.kill("worker-0", "ABRT")
    wait_until(lambda: broker.pid("worker-0") not in (0, old), DEADLINE_S, "another process")
    broker.wait_for_journal("Fatal Python error: Aborted", cursor)
    wait_until(lambda: serves(broker), DEADLINE_S, "every worker")


def test_a_hung_supervisor_is_restarted_by_systemd(broker: Service, figure: Figure) -> None:
    old, begun = broker.kill("supervisor", "STOP"), time.monotonic()
    wait_until(lambda: broker.pid("supervisor") not in (0, old), DEADLINE_S, "another process")
    wait_until(lambda: serves(broker), DEADLINE_S, "every worker")
    figure(
        f"a stopped supervisor: serves after (WatchdogSec={WATCHDOG_S})",
        f"{seconds_since(begun):.1f} s",
    )
    broker.wait_until_active()


def test_stop_leaves_a_clean_directory(broker: Service, figure: Figure) -> None:
    cursor, begun = broker.cursor(), time.monotonic()
    broker.host.run("systemctl stop fastbroker")
    figure("stop", f"{seconds_since(begun):.1f} s")
    assert broker.show("ActiveState") == "inactive"
    assert broker.show("Result") == "success"
    assert "stopped in" in broker.messages(cursor)
    for broker_id in (1, 1001):
        left = broker.host.run(f"cat /var/lib/fastbroker/broker-{broker_id}/.kafka_cleanshutdown")
        assert json.loads(left)["brokerEpoch"] >= 0
    assert broker.host.run("pgrep fb-", status=1) == ""
    broker.host.run("systemctl start fastbroker")
    assert serves(broker)


def test_a_wrong_configuration_fails_once(broker: Service, figure: Figure) -> None:
    cursor = broker.cursor()
    broker.configure("num.partitons=3")
    said = broker.host.run("systemctl restart fastbroker", status=1)
    assert "failed" in said
    assert broker.show("ActiveState") == "failed"
    assert broker.show("ExecMainStatus") == "2"
    starts = [e for e in broker.journal(cursor) if "unknown key 'num.partitons'" in e["MESSAGE"]]
    (entry,) = starts
    assert "did you mean num.partitions?" in entry["MESSAGE"]
    # Longer than RestartSec: nobody has tried again.
    time.sleep(2.5)
    assert broker.show("ActiveState") == "failed"
    assert broker.show("NRestarts") == "0"
    figure("a wrong configuration: starts tried, message", f"1, {entry['MESSAGE']}")
    broker.configure()
    broker.host.run("systemctl restart fastbroker")
    assert serves(broker)
