"""`fastbroker produce` against a broker; what arrived is read with `fastbroker consume`."""
from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from fastbroker.cli.partitioner import of_key
from tests.cli.conftest import TIMEOUT_S, CommandLine


def stored(fastbroker: CommandLine, topic: str, most: int) -> list[dict[str, Any]]:
    """The records of `topic`, at least `most` of them."""
    args = ["--from-beginning", "--json", "--max", str(most), "--timeout", "20"]
    lines = fastbroker.run("consume", topic, *args).stdout.splitlines()
    assert len(lines) == most
    return [json.loads(line) for line in lines]


def test_a_record_for_each_line(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "1")
    done = fastbroker.run("produce", name, stdin="one\ntwo\r\n\nfour")
    assert done.stderr == f"sent 4 records, 10 bytes, to '{name}' (partition 0)\n"
    assert done.stdout == ""
    records = stored(fastbroker, name, 4)
    assert [one["value"] for one in records] == ["one", "two", "", "four"]
    assert [one["offset"] for one in records] == [0, 1, 2, 3]
    assert {one["key"] for one in records} == {None}
    assert records[0]["timestamp"] > 1_600_000_000_000


def test_keys_and_headers(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "3")
    lines = "".join(f"key-{n}::value:{n}\n" for n in range(12))
    args = ["--key-separator", "::", "--header", "from=cli", "--header", "n=1=2"]
    said = fastbroker.run("produce", name, *args, stdin=lines).stderr
    assert said.startswith("sent 12 records")
    for one in stored(fastbroker, name, 12):
        assert one["value"] == one["key"].replace("key-", "value:")
        assert one["partition"] == of_key(one["key"].encode(), 3)
        assert one["headers"] == [
            {"name": "from", "value": "cli"}, {"name": "n", "value": "1=2"},
        ]  # fmt: skip


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_more_than_a_batch_in_every_compression(
    fastbroker: CommandLine, name: str, compression: str, tmp_path: Any
) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "2")
    lines = [f"{n} {'x' * 100}" for n in range(10_000)]
    file = tmp_path / "lines"
    file.write_text("\n".join(lines))
    said = fastbroker.run("produce", name, "--compression", compression, str(file)).stderr
    assert said.startswith("sent 10,000 records, ")
    values = [one["value"] for one in stored(fastbroker, name, 10_000)]
    assert sorted(values) == sorted(lines)


def test_what_is_there_is_sent_when_the_input_pauses(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "1")
    with subprocess.Popen(
        fastbroker.command("produce", name), env=fastbroker.env, stdin=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write("live\n")
        process.stdin.flush()
        assert stored(fastbroker, name, 1)[0]["value"] == "live"
        _, said = process.communicate("last\n", timeout=TIMEOUT_S)
        assert process.returncode == 0
    assert said.startswith("sent 2 records")


def test_a_batch_that_is_too_large_for_the_topic_is_divided(
    fastbroker: CommandLine, name: str
) -> None:
    fastbroker.run(
        "topic", "create", name, "--partitions", "1", "--config", "max.message.bytes=500"
    )
    said = fastbroker.run("produce", name, stdin="".join(f"{n:100}\n" for n in range(20))).stderr
    assert said.startswith("sent 20 records")
    assert [int(one["value"]) for one in stored(fastbroker, name, 20)] == list(range(20))
    failed = fastbroker.run("produce", name, stdin="x" * 1000, status=1).stderr
    assert "is larger than topic" in failed
    assert "--config max.message.bytes=N" in failed


def test_a_topic_that_is_not_there_is_made(fastbroker: CommandLine, name: str) -> None:
    assert fastbroker.run("produce", name, stdin="a\n").stderr.startswith("sent 1 record")
    assert stored(fastbroker, name, 1)[0]["value"] == "a"


def test_what_fails_says_why(fastbroker: CommandLine, name: str) -> None:
    fastbroker.run("topic", "create", name, "--partitions", "2")
    assert "there is no partition 7" in fastbroker.error("produce", name, "--partition", "7")
    said = fastbroker.error("produce", name, "--key-separator", ":", stdin="nokey\n")
    assert said == "line 1 has no ':' between a key and a value"
    assert "No such file" in fastbroker.error("produce", name, "/not/there", status=2)
    assert "KEY=VALUE" in fastbroker.error("produce", name, "--header", "x", status=2)
    assert "INVALID_TOPIC_EXCEPTION" in fastbroker.error("produce", "a b")
