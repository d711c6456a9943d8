"""Apache Kafka's tools for groups: consumer-groups, groups, configs; formatters and dump."""
from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer

from tests.broker_process import wait_until
from tests.interop.broker import Broker
from tests.interop.kafka_tools import Tool, data_dir, fill

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(300)]

RECORDS = 10  # in each of the topic's two partitions
FORMATTERS = "org.apache.kafka.tools.consumer"
END_MS = 5000  # nothing more has come for so long: that was all


class Group(NamedTuple):
    """A group of one living member, who has read and committed everything."""

    name: str
    consumer: Consumer


def entered(broker: Broker, topic: str, protocol: str) -> Group:
    name = f"{protocol}-of-{topic}"
    settings = {
        "bootstrap.servers": broker.bootstrap,
        "group.id": name,
        "client.id": f"client-of-{name}",
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    got = 0

    def has_all() -> bool:
        nonlocal got
        message = consumer.poll(0.1)
        got += message is not None and message.error() is None
        return got == 2 * RECORDS

    wait_until(has_all, 30, f"{name} to read {topic}")
    consumer.commit(asynchronous=False)
    return Group(name, consumer)


@pytest.fixture
def groups(broker: Broker, topic: str) -> Iterator[dict[str, Group]]:
    """One of either kind, by its protocol."""
    fill(broker, topic, values=[b"%d" % n for n in range(RECORDS)])
    found = {protocol: entered(broker, topic, protocol) for protocol in ("classic", "consumer")}
    yield found
    for group in found.values():
        group.consumer.close()


def rows(told: str, group: str) -> list[list[str]]:
    """The table's rows of a group, as columns."""
    return [line.split() for line in told.splitlines() if line.split()[:1] == [group]]


def test_groups_are_listed_by_state_and_type(tool: Tool, groups: dict[str, Group]) -> None:
    classic, consumer = groups["classic"].name, groups["consumer"].name
    told = tool("kafka-consumer-groups", "--list", "--state", "--type")
    assert rows(told, classic) == [[classic, "Classic", "Stable"]], told
    assert rows(told, consumer) == [[consumer, "Consumer", "Stable"]], told
    told = tool("kafka-consumer-groups", "--list", "--type", "consumer")
    assert consumer in told.split(), told
    assert classic not in told.split(), told
    told = tool("kafka-consumer-groups", "--list", "--state", "empty,dead")
    assert not {classic, consumer} & set(told.split()), told
    told = tool("kafka-groups", "--list")
    assert rows(told, classic) == [[classic, "Classic", "consumer"]], told
    assert rows(told, consumer) == [[consumer, "Consumer", "consumer"]], told
    told = tool("kafka-groups", "--list", "--group-type", "classic", "--protocol", "consumer")
    assert classic in told.split(), told
    assert consumer not in told.split(), told


def test_members_states_and_offsets_are_described(
    tool: Tool, topic: str, groups: dict[str, Group]
) -> None:
    all_groups = ["--describe", "--all-groups", "--verbose"]
    told = tool("kafka-consumer-groups", *all_groups, "--members")
    for protocol, group in groups.items():
        (row,) = rows(told, group.name)
        # GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS and current and target epoch, assignment
        assert row[2:5] == ["/127.0.0.1", f"client-of-{group.name}", "2"], told
        epoch = "-" if protocol == "classic" else row[5]
        target = "-" if protocol == "classic" else f"{topic}:0,1"
        assert row[5:] == [epoch, f"{topic}:0,1", epoch, target], told
    told = tool("kafka-consumer-groups", *all_groups, "--state")
    for protocol, group in groups.items():
        (row,) = rows(told, group.name)
        # GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE epochs #MEMBERS
        strategy = "range" if protocol == "classic" else "uniform"
        assert row[3:5] == [strategy, "Stable"], told
        assert row[-1] == "1", told
        assert (row[5] == "-") == (protocol == "classic"), told
    told = tool("kafka-consumer-groups", *all_groups, "--offsets")
    for group in groups.values():
        found = rows(told, group.name)
        # GROUP TOPIC PARTITION LEADER-EPOCH CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID ...
        assert [row[1:3] for row in found] == [[topic, "0"], [topic, "1"]], told
        assert {tuple(row[4:7]) for row in found} == {(str(RECORDS), str(RECORDS), "0")}, told
        assert {row[9] for row in found} == {f"client-of-{group.name}"}, told


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_offsets_are_reset_exported_imported_and_deleted(
    tool: Tool, topic: str, groups: dict[str, Group], tmp_path: pathlib.Path, protocol: str
) -> None:
    group = groups[protocol].name
    groups[protocol].consumer.close()

    def reset(*how: str) -> dict[str, str]:
        """Partition -> the offset that it was set to."""
        args = ["--reset-offsets", "--group", group, "--execute", *how]
        if "--from-file" not in how:
            args += ["--topic", topic]
        told = tool("kafka-consumer-groups", *args)
        return {row[2]: row[3] for row in rows(told, group)}

    assert reset("--to-offset", "4") == {"0": "4", "1": "4"}
    assert reset("--shift-by", "-2") == {"0": "2", "1": "2"}
    assert reset("--shift-by", "100") == {"0": "10", "1": "10"}
    assert reset("--to-earliest") == {"0": "0", "1": "0"}
    assert reset("--to-latest") == {"0": "10", "1": "10"}
    assert reset("--to-datetime", "2020-01-01T00:00:00.000") == {"0": "0", "1": "0"}
    assert reset("--by-duration", "PT0S") == {"0": "10", "1": "10"}
    assert reset("--to-current") == {"0": "10", "1": "10"}
    plan = tmp_path / "plan.csv"
    args = ["--reset-offsets", "--group", group, "--topic", f"{topic}:1", "--to-offset", "7"]
    told = tool("kafka-consumer-groups", *args, "--export", "--dry-run")
    plan.write_text("".join(f"{line}\n" for line in told.splitlines() if topic in line))
    assert f'"{topic}",1,7' in plan.read_text().replace(f"{topic},1", f'"{topic}",1'), told
    assert reset("--from-file", str(plan)) == {"1": "7"}

    told = tool("kafka-consumer-groups", "--describe", "--group", group)
    # GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG
    assert {row[2]: row[3] for row in rows(told, group)} == {"0": "10", "1": "7"}, told
    told = tool("kafka-consumer-groups", "--delete-offsets", "--group", group,
                "--topic", f"{topic}:0")  # fmt: skip
    assert re.search(rf"{topic}\s+0\s+Successful", told), told
    told = tool("kafka-consumer-groups", "--describe", "--group", group, "--state")
    assert " Empty " in told, told
    assert "was successful" in tool("kafka-consumer-groups", "--delete", "--group", group)
    assert group not in tool("kafka-consumer-groups", "--list").split()


def test_a_group_with_members_is_not_deleted(tool: Tool, groups: dict[str, Group]) -> None:
    for group in groups.values():
        told = tool("kafka-consumer-groups", "--delete", "--group", group.name, failing=True)
        assert "GroupNotEmptyException" in told, told


def test_configs_of_groups_are_altered_and_described(tool: Tool, name: str) -> None:
    entity = ["--entity-type", "groups", "--entity-name", f"group-{name}"]
    tool("kafka-configs", *entity, "--alter", "--add-config", "consumer.session.timeout.ms=50000")
    told = tool("kafka-configs", *entity, "--describe")
    assert "consumer.session.timeout.ms=50000 " in told
    assert "DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000" in told
    assert "group.consumer.session.timeout.ms=45000" in told
    told = tool("kafka-configs", "--entity-type", "groups", "--describe")
    assert f"Dynamic configs for group group-{name} are:" in told
    wrong = "consumer.session.timeout.ms=1"
    told = tool("kafka-configs", *entity, "--alter", "--add-config", wrong, failing=True)
    assert "InvalidConfigurationException" in told
    tool("kafka-configs", *entity, "--alter", "--delete-config", "consumer.session.timeout.ms")
    assert "50000" not in tool("kafka-configs", *entity, "--describe")


def read_with(tool: Tool, topic: str, formatter: str) -> list[dict[str, Any]]:
    """What the formatter printed of a topic, without breaks between: JSON after JSON."""
    args = ["--topic", topic, "--from-beginning", "--formatter", f"{FORMATTERS}.{formatter}"]
    # That nothing comes any more ends the console consumer, which tells of it as of a failure.
    told = tool("kafka-console-consumer", *args, "--timeout-ms", str(END_MS), failing=True)
    decoder, found = json.JSONDecoder(), []
    at = told.find('{"key"')
    while at >= 0:
        message, end = decoder.raw_decode(told, at)
        found.append(message)
        at = told.find('{"key"', end)
    assert "Processed a total of" in told, told
    return found


def test_formatters_read_the_offsets_topic(
    tool: Tool, topic: str, groups: dict[str, Group]
) -> None:
    found = read_with(tool, "__consumer_offsets", "OffsetsMessageFormatter")
    for group in groups.values():
        offsets = {
            one["key"]["data"]["partition"]: one["value"]["data"]["offset"]
            for one in found
            if one["key"]["data"]["group"] == group.name
        }
        assert offsets == {0: RECORDS, 1: RECORDS}, found
    classic = groups["classic"].name
    found = read_with(tool, "__consumer_offsets", "GroupMetadataMessageFormatter")
    mine = [one for one in found if one["key"]["data"].get("group") == classic]
    assert mine, found
    last = mine[-1]["value"]["data"]
    assert last["protocolType"] == "consumer", mine
    assert [member["clientId"] for member in last["members"]] == [f"client-of-{classic}"], mine


def test_the_dump_tool_reads_records_of_both_kinds(
    offline_tool: Tool, broker: Broker, topic: str, groups: dict[str, Group]
) -> None:
    logs = [f for f in data_dir(broker).rglob("__consumer_offsets-*/*.log") if f.stat().st_size]
    files = ",".join(map(str, logs))
    told = offline_tool("kafka-dump-log", "--offsets-decoder", "--files", files)
    found = re.findall(r"key: (\{.*?\}\}) payload: (.*)$", told, re.M)
    kinds: dict[str, set[str]] = {group.name: set() for group in groups.values()}
    for key, _ in found:
        entry = json.loads(key)
        group = entry["data"].get("group", entry["data"].get("groupId"))
        if group in kinds:
            kinds[group].add(entry["type"])
    assert kinds[groups["classic"].name] == {"1", "2"}, told[-3000:]
    # An offset; the group's and a member's epochs; what members are to have, and have.
    assert kinds[groups["consumer"].name] >= {"1", "3", "5", "6", "7", "8"}, told[-3000:]
    assert "isvalid: false" not in told
