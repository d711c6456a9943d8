"""The command line as a whole."""
from __future__ import annotations

import fastbroker as package
from tests.cli.conftest import CommandLine

NOWHERE = CommandLine("127.0.0.1:1")


def test_the_version_is_the_packages() -> None:
    assert NOWHERE.run("--version").stdout == f"fastbroker {package.__version__}\n"


def test_help_lists_the_commands() -> None:
    text = NOWHERE.run("--help").stdout
    for command in ("start", "topic"):
        assert f"  {command}" in text


def test_without_a_command_there_is_help_and_status_2() -> None:
    assert "Commands:" in NOWHERE.run(status=2).stderr
    assert "Commands:" in NOWHERE.run("topic", status=2).stderr


def test_an_unknown_command_suggests_one() -> None:
    assert "Did you mean 'create'?" in NOWHERE.error("topic", "creat", status=2)


def test_an_unreachable_broker_is_one_line_with_a_remedy() -> None:
    text = NOWHERE.error("topic", "list")
    assert text.startswith("cannot reach a broker at 127.0.0.1:1: connection refused")
    assert "fastbroker start" in text


def test_an_address_that_is_none_is_a_usage_error() -> None:
    text = NOWHERE.error("topic", "list", "--bootstrap", "localhost:http", status=2)
    assert "HOST:PORT" in text
