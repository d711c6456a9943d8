"""The installer: a host's first broker, its next version under load, and its end.

The tests share one host, in this order.
"""
from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker_process import wait_until
from tests.deploy.systemd.conftest import Figure
from tests.deploy.systemd.load import (
    Ack,
    KafkaJS,
    Librdkafka,
    check_promises,
    longest_pause_s,
    read_back,
)
from tests.deploy.systemd.service import CONFIG, WORKERS, Service, service
from tests.deploy.wheels import VERSIONS

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(300)]

OLD, NEW = VERSIONS
WARM_ACKS, COLD_ACKS = 500, 500  # of each client, before the upgrade and after it
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def broker() -> Iterator[Service]:
    with service() as one:
        yield one


def installed(broker: Service) -> str:
    return broker.host.run("/usr/local/bin/fastbroker --version").split()[-1]


def test_a_host_gets_a_broker(broker: Service, figure: Figure) -> None:
    begun = time.monotonic()
    said = broker.install(args="--no-start")
    assert "start it with: systemctl start fastbroker" in said
    assert broker.show("ActiveState") == "inactive"
    broker.configure()
    assert "ready after" in broker.install()
    figure("install.sh install, twice", f"{time.monotonic() - begun:.0f} s")
    assert installed(broker) == OLD
    assert broker.show("UnitFileState") == "enabled", "it starts with the host"
    assert broker.host.run("stat -c %U:%a /var/lib/fastbroker").strip() == "fastbroker:750"


def test_once_more_it_changes_nothing(broker: Service) -> None:
    look = "ls -la --time-style=full-iso /opt/fastbroker"
    before = broker.pid("supervisor"), broker.host.run(look)
    said = broker.install()
    assert f"{OLD} is installed and runs already" in said
    assert (broker.pid("supervisor"), broker.host.run(look)) == before


def test_an_upgrade_under_load_loses_nothing(broker: Service, figure: Figure) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    topics = ("of-librdkafka", "of-kafkajs")
    made = admin.create_topics([NewTopic(topic, WORKERS, 1) for topic in topics])
    for future in made.values():
        future.result(10)
    clients = [
        Librdkafka(broker.bootstrap, topics[0], WORKERS),
        KafkaJS(broker.bootstrap, topics[1], WORKERS),
    ]
    try:
        for one in clients:
            wait_until(lambda one=one: len(one.acks) > WARM_ACKS, DEADLINE_S, f"{one.name}'s load")
        begun = time.monotonic()
        said = broker.install("upgrade", version=NEW)
        took_s = time.monotonic() - begun
        assert installed(broker) == NEW
        counts = [len(one.acks) for one in clients]
        for one, count in zip(clients, counts, strict=True):
            wait_until(
                lambda one=one, count=count: len(one.acks) > count + COLD_ACKS,
                DEADLINE_S, f"{one.name}'s load after the upgrade",
            )  # fmt: skip
    finally:
        ended: list[list[Ack]] = [one.end() for one in clients]
    for one, acks in zip(clients, ended, strict=True):
        check_promises(acks, read_back(broker.bootstrap, one.topic, WORKERS))
        figure(
            f"upgrade {OLD} -> {NEW} under load of {one.name}",
            f"no record acknowledged for {longest_pause_s(acks):.2f} s,"
            f" {len(acks)} acknowledged, none lost, none twice",
        )
    figure("install.sh upgrade", f"{took_s:.1f} s, of them {_restart(said)}")


def _restart(said: str) -> str:
    found = re.search(r"ready after \d+ s", said)
    assert found, said
    return found[0]


def test_what_does_not_accept_the_configuration_is_not_switched_to(broker: Service) -> None:
    before = broker.pid("supervisor")
    text = broker.host.run(f"cat {CONFIG}")
    broker.host.write(CONFIG, f"{text}no.such.key=1\n")
    said = broker.host.run(
        f"sh /deploy/install.sh upgrade --package /wheels/fastbroker-{OLD}-*.whl", status=1
    )
    line = len(text.splitlines()) + 1
    assert f"{CONFIG}:{line}: unknown key 'no.such.key'" in said
    assert "nothing was changed" in said
    assert installed(broker) == NEW
    assert broker.pid("supervisor") == before
    broker.host.write(CONFIG, text)


def test_what_does_not_become_ready_is_switched_back(broker: Service) -> None:
    """The start fails: the environment was damaged."""
    broken = f"/opt/fastbroker/{OLD}/lib/python3.11/site-packages/fastbroker/worker/main.py"
    broker.host.run(f"echo 'raise SystemExit(1)' > {broken}")
    said = broker.host.run(
        f"sh /deploy/install.sh upgrade --package /wheels/fastbroker-{OLD}-*.whl", status=1
    )
    assert f"{OLD} did not become ready; {NEW} runs again" in said
    assert installed(broker) == NEW
    assert broker.show("ActiveState") == "active"


def test_removed_the_data_stays(broker: Service) -> None:
    said = broker.host.run("sh /deploy/install.sh remove")
    assert "Kept: /var/lib/fastbroker" in said
    assert broker.host.run("pgrep fb-", status=1) == ""
    broker.host.run(f"test -d /var/lib/fastbroker/broker-1 && test -f {CONFIG}")
    broker.host.run("test ! -e /opt/fastbroker && test ! -e /usr/local/bin/fastbroker")
    broker.host.run("test ! -e /etc/systemd/system/fastbroker.service")


def test_removed_with_its_data(broker: Service) -> None:
    broker.host.run("sh /deploy/install.sh remove --purge-data")
    broker.host.run("test ! -e /var/lib/fastbroker && test ! -e /etc/fastbroker")
    broker.host.run("getent passwd fastbroker", status=2)
    assert "removed" in broker.host.run("sh /deploy/install.sh remove"), "nothing is left: no error"
