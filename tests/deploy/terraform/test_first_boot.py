"""The user data that the real provider sends is executed: cloud-init boots a host that serves.

terraform applies the module against the stand-in API; what the API was given as user data is what
cloud-init finds on a fresh Debian, with a blank disk where the cloud would attach the volume.
"""
from __future__ import annotations

import json
import pathlib
import shutil
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from tests.deploy.terraform.cloud_host import CloudHost, DataDisk, Network
from tests.deploy.terraform.hetzner import Hetzner
from tests.deploy.terraform.tool import Terraform
from tests.deploy.wheels import wheels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RECORDS = 200
DEADLINE_S = 60.0
MESSAGES_IN = "kafka_server_brokertopicmetrics_messagesin_total"
DATA = "/var/lib/fastbroker"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("index") / "wheels"
    shutil.copytree(wheels(), folder)
    with Network(folder) as network:
        yield network


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, network: Network) -> dict[str, Any]:
    """What one apply gave: user_data, the disk's name, bootstrap, metrics, and what is opened."""
    given = {
        "package": f"{network.index}/{next(network.wheels.glob('fastbroker-0.1.0-*.whl')).name}",
        "client_cidrs": [f"{network.here}/32"],
        "metrics_cidrs": [f"{network.here}/32"],
        "server_type": "cx23",
        "properties": {"num.partitions": "4"},
    }
    folder = tmp_path_factory.mktemp("terraform")
    with Hetzner([network.host]) as cloud:
        env = {"HCLOUD_ENDPOINT": cloud.endpoint, "HCLOUD_TOKEN": cloud.token}
        module = Terraform(folder, "modules/hcloud", env).init()
        (module.folder / "given.auto.tfvars.json").write_text(json.dumps(given))
        module.run("apply", "-auto-approve", "-no-color", "-input=false")
        [metrics] = json.loads(module.run("output", "-json", "metrics_targets"))
        [bootstrap] = json.loads(module.run("output", "-json", "bootstrap_servers"))
        [server] = cloud.bodies("POST", "/servers")
        [volume] = cloud.made["volumes"]
        [wall] = cloud.bodies("POST", "/firewalls")
    return {
        "user_data": server["user_data"],
        "disk": f"scsi-0HC_Volume_{volume}",
        "bootstrap": bootstrap,
        "metrics": metrics,
        "opened": {rule["description"]: rule["port"] for rule in wall["rules"]},
    }


def test_a_host_comes_up_serving_and_keeps_its_data(
    tmp_path: pathlib.Path, network: Network, applied: dict[str, Any]
) -> None:
    with DataDisk(tmp_path, applied["disk"]) as disk:
        with CloudHost(applied["user_data"], network, disk) as host:
            assert_valid(host)
            assert_first_boot_went_well(host)
            assert disk.tag("TYPE") == "ext4"
            produce_to(applied["bootstrap"])
            assert consume_from(applied["bootstrap"]) == RECORDS
            assert_firewall_fits(applied)
            assert records_in(applied["metrics"]) == RECORDS
            assert_running_it_again_changes_nothing(host, applied)

            uuid = disk.tag("UUID")
            host.halt()
            host.boot()  # udev names the disk by its UUID from now on
            host.run("systemctl is-active fastbroker")
            assert consume_from(applied["bootstrap"]) == RECORDS

            host.halt()
            host.disk = None
            host.boot()
            host.run("systemctl is-active fastbroker", status=3)
            assert "Dependency failed" in host.run("journalctl -b -o cat -u fastbroker")
            assert host.run(f"ls {DATA}") == ""  # nothing was written to the root disk

        # The machine is replaced. There the broker's user has another number.
        other = "#cloud-config\nbootcmd: [useradd --system --user-group somebody]\n"
        with CloudHost(applied["user_data"], network, disk, vendor_data=other) as host:
            assert_first_boot_went_well(host)
            assert disk.tag("UUID") == uuid
            assert "keeps its ext4" in host.run("cat /var/log/cloud-init-output.log")
            assert consume_from(applied["bootstrap"]) == RECORDS


def test_a_disk_with_something_else_on_it_is_left_alone(
    tmp_path: pathlib.Path, network: Network, applied: dict[str, Any]
) -> None:
    with DataDisk(tmp_path, applied["disk"]) as disk:
        signature = b"\x55\xaa"  # the end of a partition table's sector
        entry = bytes.fromhex("80 010100 83 feffff 00080000 00f00700".replace(" ", ""))
        sector = bytes(446) + entry + bytes(48) + signature
        with open(disk.device, "r+b", buffering=0) as device:
            device.write(sector)
        with CloudHost(applied["user_data"], network, disk) as host:
            result = json.loads(host.run("cat /run/cloud-init/result.json"))
            assert "runcmd" in str(result) or "scripts_user" in str(result)
            said = host.run("cat /var/log/cloud-init-output.log")
            assert "is neither blank nor an ext4 or xfs file system (a partition table" in said
            host.run("systemctl is-active fastbroker", status=3)
        with open(disk.device, "rb") as device:
            assert device.read(512) == sector


def assert_valid(host: CloudHost) -> None:
    """cloud-init's schema has nothing against the user data; it would have, so it is alive."""
    seed = "/var/lib/cloud/seed/nocloud"
    said = host.run(f"cloud-init schema --config-file {seed}/user-data")
    assert said.startswith("Valid cloud-config"), said
    host.run(f"sed s/gz+b64/gz+b65/ {seed}/user-data >/tmp/wrong")
    assert "gz+b65" in host.run("cloud-init schema --config-file /tmp/wrong", status=1)


def assert_first_boot_went_well(host: CloudHost) -> None:
    said = host.run("cat /var/log/cloud-init-output.log")
    result = json.loads(host.run("cat /run/cloud-init/result.json"))["v1"]
    assert result["errors"] == [], said
    assert "waiting for /dev/disk/by-id/" in said
    assert "Invalid cloud-config" not in said
    assert "DataSourceNoCloud" in result["datasource"]
    assert host.run("systemctl is-active fastbroker").strip() == "active"
    assert host.run("systemctl is-enabled fastbroker").strip() == "enabled"
    assert host.run(f"findmnt -n -o FSTYPE {DATA}").strip() == "ext4"


def assert_running_it_again_changes_nothing(host: CloudHost, applied: dict[str, Any]) -> None:
    show = "systemctl show -P MainPID fastbroker; findmnt -n -o SOURCE,OPTIONS " + DATA
    before = host.run(show)
    scripts = "/var/lib/cloud/instance/scripts/runcmd"
    assert "keeps its ext4" in host.run(scripts)
    assert host.run(show) == before


def assert_firewall_fits(applied: dict[str, Any]) -> None:
    """The ports that clients are told are those that the firewall lets in."""
    assert applied["opened"]["Prometheus"] == applied["metrics"].rpartition(":")[2]
    first, _, last = applied["opened"]["Kafka clients"].partition("-")
    opened = [str(port) for port in range(int(first), int(last or first) + 1)]
    assert [one.rpartition(":")[2] for one in applied["bootstrap"].split(",")] == opened
    metadata = Producer({"bootstrap.servers": applied["bootstrap"]}).list_topics(timeout=30)
    assert sorted(str(broker.port) for broker in metadata.brokers.values()) == opened


def produce_to(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for n in range(RECORDS):
        producer.produce("readings", key=str(n), value=f"{n} degrees")
    assert producer.flush(DEADLINE_S) == 0


def consume_from(bootstrap: str) -> int:
    """How many records a new group finds, from the beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"group-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(["readings"])
    found: set[bytes] = set()
    end = time.monotonic() + DEADLINE_S
    while len(found) < RECORDS and time.monotonic() < end:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            found.add(message.key())
    consumer.close()
    return len(found)


def records_in(target: str) -> float:
    """How many records the topic has got, as Prometheus would read it from /metrics of the host."""
    with urllib.request.urlopen(f"http://{target}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found = [one for one in lines if one.startswith(MESSAGES_IN) and 'topic="readings"' in one]
    return sum(float(one.rpartition(" ")[2]) for one in found)
