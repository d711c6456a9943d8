"""The example planned, applied and destroyed by the real provider, against a stand-in API."""
from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

from tests.deploy.terraform.hetzner import Hetzner
from tests.deploy.terraform.tool import Terraform

ADDRESSES = [f"198.51.100.{number}" for number in range(2, 12)]
# The first of them builds the provider.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WHEEL = "https://dl.example.com/fastbroker-0.1.0-cp311-cp311-linux_x86_64.whl"


@pytest.fixture
def cloud() -> Iterator[Hetzner]:
    with Hetzner(ADDRESSES) as cloud:
        yield cloud
        assert cloud.unknown == []


def example(folder: pathlib.Path, cloud: Hetzner) -> Terraform:
    """The example root, initialised, with what it asks for."""
    return Terraform(
        folder, "examples/hetzner",
        {
            "HCLOUD_ENDPOINT": cloud.endpoint, "HCLOUD_TOKEN": cloud.token,
            "TF_VAR_package": WHEEL, "TF_VAR_client_cidrs": '["203.0.113.0/24"]',
        },
    ).init()  # fmt: skip


def test_a_plan_makes_nothing(tmp_path: pathlib.Path, cloud: Hetzner) -> None:
    root = example(tmp_path, cloud)
    root.run("plan", "-no-color", "-input=false", "-out=plan")
    plan = json.loads(root.run("show", "-json", "plan"))
    made = [change["type"] for change in plan["resource_changes"] if change["mode"] == "managed"]
    assert {kind: made.count(kind) for kind in made} == {
        "hcloud_firewall": 1, "hcloud_placement_group": 1, "hcloud_primary_ip": 3,
        "hcloud_server": 3, "hcloud_volume": 3, "hcloud_volume_attachment": 3,
    }  # fmt: skip
    assert cloud.requests == []


def test_hosts_come_and_go(tmp_path: pathlib.Path, cloud: Hetzner) -> None:
    root = example(tmp_path, cloud)
    main = root.folder / "main.tf"
    main.write_text(main.read_text().replace("hosts  ", "protect_data = false\n  hosts  "))
    root.run("apply", "-auto-approve", "-no-color", "-input=false")

    hosts = json.loads(root.run("output", "-json", "hosts"))
    assert {name: (host["node_id"], host["rack"]) for name, host in hosts.items()} == {
        "fastbroker-1": (1, "fsn1"), "fastbroker-2": (2, "nbg1"), "fastbroker-3": (3, "hel1"),
    }  # fmt: skip
    servers = json.loads(root.run("output", "-json", "bootstrap_servers"))
    assert servers == [f"{host['address']}:9092,{host['address']}:9093" for host in hosts.values()]

    made = {body["name"]: body for body in cloud.bodies("POST", "/servers")}
    for name, host in hosts.items():
        assert made[name]["location"] == host["rack"]
        assert made[name]["public_net"]["enable_ipv6"] is False
        text = made[name]["user_data"]
        assert text.startswith("#cloud-config\n")
        assert f"advertised.listeners=PLAINTEXT://{host['address']}:9092\n" in text
        assert f"node.id={host['node_id']}\n" in text
        assert f'- "/dev/disk/by-id/scsi-0HC_Volume_{host["volume_id"]}"' in text
        attached = cloud.bodies("POST", f"/volumes/{host['volume_id']}/actions/attach")
        assert [body["server"] for body in attached] == [int(host["server_id"])]
        assert not attached[0].get("automount")
    [wall] = cloud.bodies("POST", "/firewalls")
    assert [(one["direction"], one["port"], one["source_ips"]) for one in wall["rules"]] == [
        ("in", "9092-9093", ["203.0.113.0/24"])
    ]
    volumes = cloud.bodies("POST", "/volumes")
    assert [(body["size"], body.get("format")) for body in volumes] == [(50, None)] * 3

    # Nothing is left to do; nor does another package replace machines that hold data.
    root.run("plan", "-no-color", "-input=false", "-detailed-exitcode")
    root.run(
        "plan", "-no-color", "-input=false", "-detailed-exitcode", "-var=package=fastbroker==9.9"
    )

    root.run("destroy", "-auto-approve", "-no-color", "-input=false")
    assert {kind: len(things) for kind, things in cloud.made.items() if things} == {}


def test_a_machine_is_replaced_and_its_disk_and_address_stay(
    tmp_path: pathlib.Path, cloud: Hetzner
) -> None:
    root = example(tmp_path, cloud)
    root.run("apply", "-auto-approve", "-no-color", "-input=false")
    before = json.loads(root.run("output", "-json", "hosts"))
    assert all(
        thing["protection"]["delete"]
        for kind in ("volumes", "primary_ips")
        for thing in cloud.made[kind].values()
    )
    which = 'module.fastbroker.hcloud_server.host["fastbroker-2"]'
    root.run("apply", "-auto-approve", "-no-color", "-input=false", f"-replace={which}")
    after = json.loads(root.run("output", "-json", "hosts"))
    changed = {
        f"{name}.{key}" for name, host in after.items() for key in host
        if host[key] != before[name][key]
    }  # fmt: skip
    assert changed == {"fastbroker-2.server_id"}
    volume = cloud.made["volumes"][int(after["fastbroker-2"]["volume_id"])]
    assert volume["server"] == int(after["fastbroker-2"]["server_id"])
