"""Every option is documented, in its help and in loadtests/README.md, and known to reports."""
from __future__ import annotations

import argparse
import re
from typing import Any

import pytest

from loadtests import arguments
from tests.broker_process import ROOT

NOT_TOLD = {"report"}  # of a run's report: where it lies


class Parser(argparse.ArgumentParser):
    """Locust's parser, as far as it matters here: options may come from variables."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: dict[str, str] = {}

    def add_argument_group(self, *args: Any, **how: Any) -> Any:
        group = super().add_argument_group(*args, **how)
        plain = group.add_argument

        def add(name: str, *, env_var: str, **told: Any) -> argparse.Action:
            self.variables[name] = env_var
            return plain(name, **told)

        group.add_argument = add  # type: ignore[method-assign,assignment]
        return group


def parser() -> Parser:
    made = Parser()
    arguments.add(made)
    return made


def test_options_are_documented() -> None:
    readme = (ROOT / "loadtests" / "README.md").read_text()
    table = readme.split("## Options")[1].split("##")[0]
    documented = set(re.findall(r"`(--[\w-]+)", "".join(re.findall(r"^\| `.*", table, re.M))))
    assert documented == set(parser().variables)
    assert all(action.help for action in parser()._actions)


def test_options_have_variables() -> None:
    assert parser().variables["--linger-ms"] == "LOADTEST_LINGER_MS"


def test_a_report_knows_them_but_no_secrets() -> None:
    options = parser().parse_args(["--client-config", "sasl.password=geheim", "--size", "100"])
    options.num_users, options.spawn_rate = 3, 1.0
    told = arguments.chosen(options)
    assert {name for name in vars(options)} - NOT_TOLD <= {*told, "num_users"}
    assert (told["size"], told["users"], told["acks"]) == (100, 3, "all")
    assert told["client_config"] == ["sasl.password"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--transactional", "--acks", "1"], "--transactional needs --acks all"),
        (["--client-config", "sasl"], "--client-config sasl: KEY=VALUE is wanted"),
        (["--txn-records", "0"], "--txn-records is at least 1"),
        ([], None),
    ],
)
def test_what_cannot_be_is_told(given: list[str], said: str | None) -> None:
    assert arguments.complaint(parser().parse_args(given)) == said
