"""terraform's own checks of the modules: format, validity, *.tftest.hcl; and hostile values."""
from __future__ import annotations

import json
import pathlib
import re

import pytest

from fastbroker.config.broker import BrokerConfig
from tests.deploy.terraform.tool import DEPLOY, Terraform

ROOTS = ("modules/host", "modules/hcloud", "examples/hetzner", "examples/any-cloud")
# The first of them builds the provider.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PASSED = re.compile(r"Success! (\d+) passed, 0 failed")


def test_every_root_is_known() -> None:
    found = {file.parent.relative_to(DEPLOY / "terraform") for file in DEPLOY.rglob("*.tf")}
    assert found == {pathlib.Path(root) for root in ROOTS}


def test_the_files_are_formatted(tmp_path: pathlib.Path) -> None:
    Terraform(tmp_path, ".").run("fmt", "-check", "-diff", "-recursive", "-no-color")


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_is_valid(tmp_path: pathlib.Path, root: str) -> None:
    printed = Terraform(tmp_path, root).init().run("validate", "-json")
    assert json.loads(printed)["diagnostics"] == []


@pytest.mark.parametrize("root", ["modules/host", "modules/hcloud"])
def test_the_modules_own_tests_pass(tmp_path: pathlib.Path, root: str) -> None:
    tests = sum(
        file.read_text().count("\nrun ") for file in (DEPLOY / "terraform" / root).rglob("*.hcl")
    )
    printed = Terraform(tmp_path, root).init().run("test", "-no-color")
    found = PASSED.search(printed)
    assert found, printed
    assert int(found[1]) == tests > 0


def test_the_broker_reads_back_what_was_given(tmp_path: pathlib.Path) -> None:
    hostile = {
        "inter.broker.listener.name": r"a\b\\c: \n \u0041 = #x ${y} %{z} 'q' \"r\" \ ".strip(),
        "num.partitions": "6",
    }
    given = {
        "package": "fastbroker", "node_id": 7, "workers": 2, "rack": "fsn1",
        "advertised_host": "broker-7.example.com", "metrics_listener": None,
        "properties": hostile,
    }  # fmt: skip
    (tmp_path / "given.json").write_text(json.dumps(given))
    host = Terraform(tmp_path, "modules/host").init()
    host.run("apply", "-auto-approve", "-no-color", f"-var-file={tmp_path / 'given.json'}")
    (tmp_path / "server.properties").write_text(host.run("output", "-raw", "server_properties"))
    config = BrokerConfig.load(tmp_path / "server.properties")
    assert {key: config.given[key] for key in hostile} == hostile
    assert config.node_id == 7
    assert config["broker.rack"] == "fsn1"
    assert config["fastbroker.workers"] == 2
    assert config.data_dir == "/var/lib/fastbroker"
    assert config.advertised()["PLAINTEXT"].at(1)[1:] == ("broker-7.example.com", 9093)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("client_cidrs", '["0.0.0.0/0"]', "no TLS and no SASL yet: name your clients'"),
        ("hosts", "0", "whole number within 1..200"),
        ("advertise", "both", '"public" or "private"'),
    ],
)
def test_a_refusal_names_cause_and_remedy(
    tmp_path: pathlib.Path, name: str, value: str, words: str
) -> None:
    given = {"package": "fastbroker==0.1.0", "client_cidrs": '["192.0.2.0/24"]', name: value}
    arguments = [f"-var={key}={text}" for key, text in given.items()]
    env = {"HCLOUD_TOKEN": "t" * 64, "HCLOUD_ENDPOINT": "http://127.0.0.1:1/v1"}
    module = Terraform(tmp_path, "modules/hcloud", env).init()
    printed = module.run("plan", "-no-color", "-input=false", *arguments, status=1)
    assert words in " ".join(printed.split())
