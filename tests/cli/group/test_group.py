"""`fastbroker group` against a broker of ours and against Apache Kafka."""
from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.broker_process import wait_until
from tests.cli.conftest import CommandLine

DEADLINE_S = 60


@pytest.fixture
def topic(anywhere: CommandLine, name: str) -> str:
    """A topic of three partitions with 10 records in the first two of them."""
    anywhere.run("topic", "create", name, "--partitions", "3", "--config", "retention.ms=3600000")
    for partition in ("0", "1"):
        lines = "".join(f"{n}\n" for n in range(10))
        anywhere.run("produce", name, "--partition", partition, stdin=lines)
    return name


@contextlib.contextmanager
def member(anywhere: CommandLine, group: str, topic: str, **settings: object) -> Iterator[None]:
    """A member of the group, which has its partitions and keeps them; it commits nothing."""
    consumer = Consumer(
        {
            "bootstrap.servers": anywhere.bootstrap, "group.id": group, "client.id": "reader",
            "enable.auto.commit": False, "auto.offset.reset": "earliest", **settings,
        }
    )  # fmt: skip
    ended, assigned = threading.Event(), threading.Event()

    def run() -> None:
        while not ended.is_set():
            consumer.poll(0.05)

    consumer.subscribe([topic], on_assign=lambda *_: assigned.set())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(assigned.is_set, DEADLINE_S, "an assignment")
        yield
    finally:
        ended.set()
        thread.join()
        consumer.close()


def commit(anywhere: CommandLine, group: str, topic: str, offsets: dict[int, int]) -> None:
    """As a program without members does."""
    consumer = Consumer({"bootstrap.servers": anywhere.bootstrap, "group.id": group})
    wanted = [TopicPartition(topic, one, offset) for one, offset in offsets.items()]
    try:
        for done in consumer.commit(offsets=wanted, asynchronous=False) or ():
            assert done.error is None
    finally:
        consumer.close()


def test_a_group_with_a_member(anywhere: CommandLine, topic: str) -> None:
    with member(anywhere, topic, topic, **{"group.instance.id": "first"}):
        listed = json.loads(anywhere.run("group", "list", "--json").stdout)
        (mine,) = [one for one in listed if one["group"] == topic]
        assert (mine["type"], mine["state"], mine["members"]) == ("classic", "Stable", 1)
        rows = anywhere.run("group", "list", "--state", "stable").stdout.splitlines()
        assert [topic, "classic", "Stable", "1"] in [row.split() for row in rows]
        assert topic not in anywhere.run("group", "list", "--type", "consumer").stdout
        page = anywhere.run("group", "describe", topic).stdout
        assert page.startswith(f"{topic}  (classic group)\n  state        Stable, ")
        assert "consumer, range" in page
        (shown,) = json.loads(anywhere.run("group", "describe", topic, "--json").stdout)
        (one,) = shown["members"]
        assert (one["client_id"], one["host"], one["instance_id"]) == (
            "reader", "127.0.0.1", "first",
        )  # fmt: skip
        assert one["partitions"] == {topic: [0, 1, 2]}
        for refused in (
            anywhere.error("group", "delete", topic),
            anywhere.error("group", "reset-offsets", topic, "--topic", topic, "--to-latest"),
        ):
            assert f"group '{topic}' has 1 member (reader)" in refused


def test_how_far_a_group_is_behind(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4, 2: 0})
    (shown,) = json.loads(anywhere.run("group", "lag", topic, "--json").stdout)
    assert (shown["group"], shown["lag"], shown["lost"]) == (topic, 6, 0)
    assert shown["uncommitted_partitions"] == 1
    first, second, third = shown["partitions"]
    assert (first["committed_offset"], first["last_stable_offset"], first["lag"]) == (4, 10, 6)
    assert 0 <= first["behind_ms"] < 600_000
    assert 3_000_000 < first["deleted_in_ms"] <= 3_600_000
    assert (second["committed_offset"], second["lag"]) == (None, None)
    assert (third["lag"], third["behind_ms"], third["deleted_in_ms"]) == (0, 0, None)
    page = anywhere.run("group", "lag", topic).stdout.splitlines()
    assert page[2].split()[:5] == [topic, "0", "4", "10", "6"]
    summary = anywhere.run("group", "lag").stdout.splitlines()
    assert [topic, "3", "6"] in [line.split()[:3] for line in summary]


def test_a_limit_gives_a_status_for_scripts(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4})
    anywhere.run("group", "lag", topic, "--fail-above", "6")
    said = anywhere.run("group", "lag", topic, "--fail-above", "5", status=3).stderr
    assert said.startswith(f"error: group '{topic}' lags: 6 records, ")
    anywhere.run("group", "lag", topic, "--fail-above", "1h")
    anywhere.run("group", "lag", topic, "--fail-above", "1ms", status=3)
    anywhere.error("group", "lag", topic, "--fail-above", "much", status=2)


def test_what_retention_took_before_it_was_read(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4})
    admin = AdminClient({"bootstrap.servers": anywhere.bootstrap})
    for done in admin.delete_records([TopicPartition(topic, 0, 7)]).values():
        done.result(DEADLINE_S)
    page = anywhere.run("group", "lag", topic).stdout
    assert f"{topic}:0: already lost 3 records" in page
    (shown,) = json.loads(anywhere.run("group", "lag", topic, "--json").stdout)
    assert (shown["lag"], shown["lost"]) == (6, 3)


def test_offsets_are_moved_only_when_told_to(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4, 1: 6})

    def reset(*args: str) -> list[tuple[int, int | None, int]]:
        shown = json.loads(anywhere.run("group", "reset-offsets", topic, "--json", *args).stdout)
        return [(one["partition"], one["before"], one["after"]) for one in shown["partitions"]]

    assert reset("--topic", topic, "--to-earliest") == [(0, 4, 0), (1, 6, 0), (2, None, 0)]
    assert reset("--topic", f"{topic}:0-1", "--to-latest") == [(0, 4, 10), (1, 6, 10)]
    assert reset("--all-topics", "--to-offset", "3") == [(0, 4, 3), (1, 6, 3)]
    assert reset("--all-topics", "--by-duration", "1h") == [(0, 4, 0), (1, 6, 0)]
    assert reset("--all-topics", "--to-datetime", "2999-01-01T00:00:00") == [
        (0, 4, 10), (1, 6, 10),
    ]  # fmt: skip
    said = anywhere.run("group", "reset-offsets", topic, "--all-topics", "--shift-by", "-2")
    assert said.stderr == "nothing was changed; add --execute to do it\n"
    assert "reads 2 records again" in said.stdout
    assert reset("--all-topics", "--shift-by", "2", "--execute") == [(0, 4, 6), (1, 6, 8)]
    read = anywhere.run("consume", topic, "--group", topic, "--max", "6", "--format", "%p %o")
    assert sorted(read.stdout.splitlines()) == ["0 6", "0 7", "0 8", "0 9", "1 8", "1 9"]


def test_deletion(anywhere: CommandLine, topic: str) -> None:
    other = f"{topic}-2"
    for group in (topic, other):
        commit(anywhere, group, topic, {0: 4})
    said = anywhere.run("group", "delete", topic, other).stdout
    assert sorted(said.splitlines()) == sorted(
        [f"deleted group '{topic}'", f"deleted group '{other}'"]
    )
    assert "there is no group" in anywhere.error("group", "delete", topic)
    assert topic not in anywhere.run("group", "list").stdout.split()


def test_a_terminal_is_asked_first(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4})
    status, said = anywhere.answer("n\n", "group", "delete", topic)
    assert (status, said.endswith("error: nothing was deleted\n")) == (1, True)
    assert f"delete group '{topic}' and all that was committed? [y/N]" in said
    status, said = anywhere.answer("y\n", "group", "delete", topic)
    assert (status, said.endswith(f"deleted group '{topic}'\n")) == (0, True)


def test_lines_keep_to_the_terminal(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4, 1: 9})
    with member(anywhere, f"m-{topic}", topic, **{"group.instance.id": "i" * 40}):
        for args in (["list"], ["describe", f"m-{topic}"], ["lag"], ["lag", topic]):
            status, said = anywhere.answer("", "group", *args)
            assert status == 0
            assert max(map(len, said.splitlines())) <= 80, said


def test_a_group_of_kip_848(anywhere: CommandLine, topic: str) -> None:
    with member(anywhere, topic, topic, **{"group.protocol": "consumer"}):
        rows = anywhere.run("group", "list", "--type", "consumer").stdout.splitlines()
        assert [topic, "consumer"] in [row.split()[:2] for row in rows]
        page = anywhere.run("group", "describe", topic).stdout
        assert page.startswith(f"{topic}  (consumer group)\n")
        assert "consumer (KIP-848), assignor uniform" in page
        (shown,) = json.loads(anywhere.run("group", "describe", topic, "--json").stdout)
        (one,) = shown["members"]
        assert one["target_partitions"] == {topic: [0, 1, 2]}
        assert shown["epoch"] >= one["epoch"] >= 1
        assert "has 1 member" in anywhere.error("group", "delete", topic)
    commit(anywhere, topic, topic, {0: 4})
    moved = ["group", "reset-offsets", topic, "--all-topics", "--to-latest", "--execute"]
    assert anywhere.run(*moved).stdout.endswith("moved 1 partition\n")
    assert anywhere.run("group", "delete", topic).stdout == f"deleted group '{topic}'\n"


def test_what_fails_says_why(anywhere: CommandLine, topic: str) -> None:
    commit(anywhere, topic, topic, {0: 4})
    for command in ("describe", "lag", "delete"):
        said = anywhere.error("group", command, topic + "x")
        assert said == f"there is no group '{topic}x'; did you mean '{topic}'?"
    reset = ["group", "reset-offsets", topic]
    assert "Say where to, once" in anywhere.error(*reset, "--topic", topic, status=2)
    assert "Say of which topics" in anywhere.error(*reset, "--to-latest", status=2)
    assert "there is no topic" in anywhere.error(*reset, "--topic", "no", "--to-latest")
    assert f"there is no partition {topic}-7: it has 3" in anywhere.error(
        *reset, "--topic", f"{topic}:7", "--to-latest"
    )
    assert f"{topic}-1 has no committed offset to shift" in anywhere.error(
        *reset, "--topic", f"{topic}:1", "--shift-by", "1"
    )
    both = ["--all-topics", "--to-latest", "--to-earliest"]
    assert "Say where to, once" in anywhere.error(*reset, *both, status=2)


def test_a_broker_of_ours_says_what_a_rebalance_waits_for(
    fastbroker: CommandLine, name: str
) -> None:
    """One member joins and does not answer any more; the next one waits for it."""
    fastbroker.run("topic", "create", name)
    stuck = subprocess.Popen(
        fastbroker.command("consume", name, "--group", name), env=fastbroker.env,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    waiting = None

    def described() -> Any:
        (shown,) = json.loads(fastbroker.run("group", "describe", name, "--json").stdout)
        return shown

    def has_a_member() -> bool:
        listed = json.loads(fastbroker.run("group", "list", "--state", "stable", "--json").stdout)
        return [one["members"] for one in listed if one["group"] == name] == [1]

    try:
        wait_until(has_a_member, DEADLINE_S, "a member")
        ((only,),) = [described()["members"]]
        stuck.send_signal(signal.SIGSTOP)
        waiting = subprocess.Popen(
            fastbroker.command("consume", name, "--group", name), env=fastbroker.env,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(
            lambda: described()["state"] == "PreparingRebalance", DEADLINE_S, "a rebalance"
        )
        (awaited,) = described()["explanation"]["awaited"]
        assert (awaited["member_id"], awaited["what"]) == (only["member_id"], "join")
        page = fastbroker.run("group", "describe", name).stdout
        assert f"({only['member_id']}): it has to join, for " in page
        assert "\n  next         the rebalance ends in " in page
    finally:
        for process in filter(None, (stuck, waiting)):
            process.kill()
            process.wait(DEADLINE_S)
