"""`fastbroker log verify` as people and programs see it."""
from __future__ import annotations

import json
import pathlib

import pytest

from tests.cli.conftest import CommandLine
from tests.storage.verify.damages import make_sample

FIRST = "00000000000000000000"


@pytest.fixture
def line() -> CommandLine:
    """The command line; no broker is asked."""
    return CommandLine("127.0.0.1:1")


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return make_sample(tmp_path / "data" / "broker-1", 2, is_clean=False).directory


def test_a_good_directory(line: CommandLine, directory: pathlib.Path) -> None:
    told = line.run("log", "verify", str(directory)).stdout.splitlines()
    assert told[0].startswith("1 partition, ")
    assert "batches" in told[0]
    assert told[1] == "nothing is wrong"


def test_statuses_follow_the_worst_finding(line: CommandLine, directory: pathlib.Path) -> None:
    (directory / "notes.txt").write_text("x")
    assert "1 noted" in line.run("log", "verify", str(directory)).stdout
    (directory / "leader-epoch-checkpoint").write_text("")
    points = directory.parent / "recovery-point-offset-checkpoint"
    points.write_text("0\n1\nt 0 66\n")
    told = line.run("log", "verify", str(directory), status=1).stdout
    assert "1 would be repaired, 1 noted" in told
    points.unlink()  # nothing below a recovery point needs the epochs
    assert "2 noted" in line.run("log", "verify", str(directory)).stdout
    log = directory / f"{FIRST}.log"
    data = bytearray(log.read_bytes())
    data[100] ^= 1
    log.write_bytes(data)
    told = line.run("log", "verify", str(directory), status=2).stdout
    assert "damage  " in told
    assert "next start: cuts" in told


def test_json_is_an_object_a_line(line: CommandLine, directory: pathlib.Path) -> None:
    (directory / "notes.txt").write_text("x")
    *found, summary = [
        json.loads(one)
        for one in line.run("log", "verify", "--json", str(directory)).stdout.splitlines()
    ]
    assert found == [
        {
            "severity": "note", "file": str(directory / "notes.txt"), "place": None,
            "what": "no file of a log", "next_start": "nothing; it does no harm",
        }
    ]  # fmt: skip
    assert (summary["note"], summary["repair"], summary["damage"]) == (1, 0, 0)
    assert summary["records"] > 100


def test_what_cannot_be_checked(
    line: CommandLine, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert "there is no log in" in line.error("log", "verify", str(tmp_path / "no"), status=3)
    file = str(directory / f"{FIRST}.log")
    assert "fastbroker log dump" in line.error("log", "verify", file, status=3)


def test_it_fits_a_terminal(line: CommandLine, directory: pathlib.Path) -> None:
    (directory / "leader-epoch-checkpoint").write_text("")
    (directory / f"{FIRST}.txnindex").write_bytes(b"\0" * 34)
    status, told = line.answer("", "log", "verify", str(directory))
    assert status >= 1
    paths = [one for one in told.splitlines() if "/" in one]
    rest = [one for one in told.splitlines() if one not in paths]
    assert max(map(len, rest)) <= 80, told
