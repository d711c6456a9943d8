"""`fastbroker consume` against a broker."""
from __future__ import annotations

import signal
import subprocess
import threading
import time

import pytest

from tests.broker_process import wait_until
from tests.cli.conftest import TIMEOUT_S, CommandLine


@pytest.fixture
def topic(fastbroker: CommandLine, name: str) -> str:
    """A topic of three partitions: 0 has 0 to 4, 1 has 10 to 14, 2 has none."""
    fastbroker.run("topic", "create", name, "--partitions", "3")
    for partition in (0, 1):
        lines = "".join(f"{10 * partition + n}\n" for n in range(5))
        fastbroker.run("produce", name, "--partition", str(partition), stdin=lines)
    return name


def numbers(fastbroker: CommandLine, *args: str) -> list[int]:
    return [int(line) for line in fastbroker.run("consume", *args).stdout.split()]


ALL = [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_all_there_is(fastbroker: CommandLine, topic: str) -> None:
    assert sorted(numbers(fastbroker, topic, "--from-beginning", "--max", "10")) == ALL
    assert sorted(numbers(fastbroker, topic, "--from-beginning", "--timeout", "1")) == ALL


def test_one_partition_from_an_offset(fastbroker: CommandLine, topic: str) -> None:
    begin = [topic, "--timeout", "1", "--partition", "1"]
    assert numbers(fastbroker, *begin, "--offset", "3") == [13, 14]
    assert numbers(fastbroker, *begin, "--offset", "-1") == [14]
    assert numbers(fastbroker, *begin, "--offset", "-99") == [10, 11, 12, 13, 14]
    assert numbers(fastbroker, *begin, "--offset", "5") == []
    assert sorted(numbers(fastbroker, topic, "--timeout", "1", "--offset", "-2")) == [3, 4, 13, 14]
    said = fastbroker.error("consume", topic, "--offset", "6")
    assert said == "partition 0 has no offset 6; its first is 0, its next will be 5"


def test_without_from_beginning_only_new_records(fastbroker: CommandLine, topic: str) -> None:
    assert fastbroker.run("consume", topic, "--timeout", "1").stderr == "no records\n"
    with subprocess.Popen(
        fastbroker.command("consume", topic, "--max", "1"), env=fastbroker.env,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while process.poll() is None:  # until it has begun to read
            fastbroker.run("produce", topic, stdin="new\n")
            time.sleep(0.2)
        assert process.communicate(timeout=TIMEOUT_S)[0] == "new\n"


def test_a_group_goes_on_where_it_left_off(fastbroker: CommandLine, topic: str) -> None:
    member = [topic, "--group", f"g-{topic}", "--from-beginning"]
    first = numbers(fastbroker, *member, "--max", "4")
    second = numbers(fastbroker, *member, "--max", "6")
    assert len(first) == 4
    assert sorted(first + second) == ALL
    assert numbers(fastbroker, *member, "--timeout", "1") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_commits_and_ends_well(
    fastbroker: CommandLine, topic: str, number: signal.Signals
) -> None:
    member = [topic, "--group", f"g-{topic}-{number}", "--from-beginning"]
    process = subprocess.Popen(
        fastbroker.command("consume", *member), env=fastbroker.env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(10)]
        process.send_signal(number)
        _, said = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, said) == (0, "")
    assert sorted(seen) == ALL
    assert numbers(fastbroker, *member, "--timeout", "1") == []


def test_two_members_share_the_partitions(fastbroker: CommandLine, topic: str) -> None:
    """Two members are fed rounds of a record a partition until they read different ones."""
    command = fastbroker.command("consume", topic, "--group", f"g-{topic}", "--format", "%p %v")
    members = [
        subprocess.Popen(command, env=fastbroker.env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs: list[list[str]] = [[], []]
    for member, output in zip(members, outputs, strict=True):
        threading.Thread(target=_drain, args=(member, output), daemon=True).start()
    rounds = iter(range(1000))

    def partitions_are_shared() -> bool:
        number = next(rounds)
        for partition in range(3):
            stdin = f"round-{number}\n"
            fastbroker.run("produce", topic, "--partition", str(partition), stdin=stdin)
        time.sleep(0.5)
        seen = [
            {line.split()[0] for line in output if line.endswith(f" round-{number}\n")}
            for output in outputs
        ]
        return sorted(map(len, seen)) == [1, 2] and not seen[0] & seen[1]

    try:
        wait_until(partitions_are_shared, 40, "two members that share three partitions")
    finally:
        for member in members:
            member.send_signal(signal.SIGINT)
            assert member.wait(TIMEOUT_S) == 0


def _drain(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.append(line)


def test_a_reader_that_has_enough_ends_it(fastbroker: CommandLine, topic: str) -> None:
    command = " ".join(fastbroker.command("consume", topic, "--from-beginning", "--timeout", "20"))
    script = f"set -o pipefail; {command} | head -1"
    fastbroker.run("produce", topic, stdin="x\n" * 100_000)
    done = subprocess.run(
        ["bash", "-c", script], env=fastbroker.env, capture_output=True, text=True,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_what_fails_says_why(fastbroker: CommandLine, topic: str) -> None:
    assert "there is no topic" in fastbroker.error("consume", topic + "-not")
    assert "there is no partition 3" in fastbroker.error("consume", topic, "--partition", "3")
    assert "--format has no '%x'" in fastbroker.error(
        "consume", topic, "--format", "%x", status=2
    )
    for pair in (
        ["--group", "g", "--partition", "0"],
        ["--from-beginning", "--offset", "0"],
        ["--json", "--headers"],
    ):
        fastbroker.error("consume", topic, *pair, status=2)
