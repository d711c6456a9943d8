"""`fastbroker topic` against a broker."""
from __future__ import annotations

import json

from tests.cli.conftest import CommandLine


def test_a_topic_from_creation_to_deletion(fastbroker: CommandLine, name: str) -> None:
    said = fastbroker.run(
        "topic", "create", name, "--partitions", "3", "--config", "retention.ms=60000"
    ).stdout
    assert said == f"created topic '{name}' with 3 partitions\n"
    rows = [line.split() for line in fastbroker.run("topic", "list").stdout.splitlines()]
    assert rows[0] == ["topic", "partitions", "replicas"]
    assert [name, "3", "1"] in rows
    page = fastbroker.run("topic", "describe", name).stdout
    assert page.startswith(f"{name}  (id ")
    assert "  retention.ms = 60000\n" in page
    assert fastbroker.run("topic", "delete", name).stdout == (
        f"deleted topic '{name}' with 3 partitions\n"
    )
    assert "there is no topic" in fastbroker.error("topic", "delete", name)


def test_json_is_one_document(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "2")
    listed = json.loads(fastbroker.run("topic", "list", "--json").stdout)
    (mine,) = [one for one in listed if one["name"] == name]
    assert (mine["partition_count"], mine["replication_factor"]) == (2, 1)
    (described,) = json.loads(fastbroker.run("topic", "describe", name, "--json").stdout)
    assert described["id"] == mine["id"]
    assert [one["partition"] for one in described["partitions"]] == [0, 1]
    for one in described["partitions"]:
        assert one["replicas"] == one["isr"] == [one["leader"]]


def test_alter_changes_settings_and_adds_partitions(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "1", "--config", "retention.ms=1000")
    said = fastbroker.run(
        "topic", "alter", name, "--partitions", "4",
        "--config", "cleanup.policy=compact", "--delete-config", "retention.ms",
    ).stdout  # fmt: skip
    assert said.splitlines() == [
        f"topic '{name}': set cleanup.policy = compact",
        f"topic '{name}': retention.ms is the default again",
        f"topic '{name}': 4 partitions, before 1",
    ]
    (described,) = json.loads(fastbroker.run("topic", "describe", name, "--json").stdout)
    assert described["configs"]["cleanup.policy"] == "compact"
    assert "retention.ms" not in described["configs"]
    assert described["partition_count"] == 4
    assert "INVALID_PARTITIONS" in fastbroker.error("topic", "alter", name, "--partitions", "2")


def test_what_fails_says_why(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "1")
    assert "exists already" in fastbroker.error("topic", "create", name)
    assert "exists already" in fastbroker.run("topic", "create", name, "--if-not-exists").stdout
    assert f"did you mean '{name}'?" in fastbroker.error("topic", "describe", name + "x")
    assert "INVALID_TOPIC_EXCEPTION" in fastbroker.error("topic", "create", "a b")
    assert "INVALID_CONFIG" in fastbroker.error("topic", "create", "n", "--config", "foo=1")
    assert "KEY=VALUE" in fastbroker.error("topic", "create", "n", "--config", "foo", status=2)
    assert "Nothing to change" in fastbroker.error("topic", "alter", name, status=2)
