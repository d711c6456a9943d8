"""`fastbroker log dump` as people and programs see it."""
from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from fastbroker.cli.log.page import moment_ms
from fastbroker.cli.log.values import readable
from fastbroker.config.topic import TopicConfig
from tests.broker_process import ROOT
from tests.storage.logs import NOW, append, batch, open_log
from tests.storage.verify.damages import make_sample

FIRST = "00000000000000000000"


def dump(*args: object, status: int = 0, **env: str) -> str:
    """What it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "fastbroker", "log", "dump", *map(str, args)], cwd=ROOT,
        capture_output=True, text=True, env={**os.environ, **env}, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def facts(*args: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dump("--json", *args).splitlines()]


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """Five batches of two records: offsets 0 to 9."""
    log = open_log(tmp_path, TopicConfig(index_interval_bytes=100), topic_id=bytes(range(16)))
    for number in range(5):
        append(log, f"value {number}", "x" * 300, at=NOW + number, now=NOW + number)
    log.close()
    return tmp_path / "t-0"


def test_batches_are_a_table(directory: pathlib.Path) -> None:
    lines = dump(directory / f"{FIRST}.log").splitlines()
    assert lines[1].split() == [
        "position", "offsets", "bytes", "codec", "epoch", "latest", "(UTC)", "producer", "remarks",
    ]  # fmt: skip
    assert lines[2].split() == ["0", "0..1", "386", "none", "0", "2023-11-14", "22:13:20.001", "-"]
    assert [line.split()[1] for line in lines[2:7]] == ["0..1", "2..3", "4..5", "6..7", "8..9"]
    assert max(map(len, lines[1:])) < 100


def test_records_stand_below_their_batch(directory: pathlib.Path) -> None:
    told = dump(directory / f"{FIRST}.log", "--records", "--offset", "4", "--limit", "2")
    rows = [line for line in told.splitlines() if 'key "k"' in line]
    assert rows[0] == '      4  2023-11-14 22:13:20.002  key "k"  value "value 2"'
    assert rows[1].endswith(f'value "{"x" * 100}"… (300 bytes)')
    assert len(rows) == 2


def test_it_begins_and_ends_where_it_is_told(directory: pathlib.Path) -> None:
    log = directory / f"{FIRST}.log"
    assert [one["base_offset"] for one in facts(log, "--offset", 5)] == [4, 6, 8]
    assert [one["base_offset"] for one in facts(log, "--offset", 2, "--limit", 2)] == [2, 4]
    assert facts(log, "--offset", 10) == []
    # An index that lies does not mislead it.
    index = directory / f"{FIRST}.index"
    entries = [n.to_bytes(4, "big") + (n * 9).to_bytes(4, "big") for n in range(9)]
    index.write_bytes(b"".join(entries))
    assert [one["base_offset"] for one in facts(log, "--offset", 5)] == [4, 6, 8]


def test_a_directory_is_shown_file_by_file(directory: pathlib.Path) -> None:
    seen = [os.path.basename(one["file"]) for one in facts(directory)]
    assert list(dict.fromkeys(seen)) == [
        "partition.metadata", "leader-epoch-checkpoint", f"{FIRST}.log", f"{FIRST}.index",
        f"{FIRST}.timeindex",
    ]  # fmt: skip
    assert facts(directory.parent) == facts(directory)


def test_what_is_damaged_is_shown_as_such(directory: pathlib.Path) -> None:
    path = directory / f"{FIRST}.log"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data[:1400])
    found = facts(path)
    assert [one["wrong"] is None for one in found] == [True, False, True, False]
    assert found[1]["wrong"].startswith("CRC 0x")
    assert found[-1]["wrong"] == "the batch claims 386 bytes, 242 are left"
    assert "WRONG: CRC" in dump(path, "--records")
    snapshot = directory / "00000000000000000010.snapshot"
    snapshot.write_bytes(b"\0\1" + bytes(8))
    assert "WRONG" in dump(snapshot)


def test_transactions_producers_and_aborted_ones(tmp_path: pathlib.Path) -> None:
    directory = make_sample(tmp_path, 1, is_clean=True).directory
    told = dump(directory)
    for word in ("transactional", "COMMIT", "ABORT", "last stable", "open transaction", "zstd"):
        assert word in told
    kinds = {one["type"] for one in facts(directory)}
    assert kinds == {"line", "batch", "offset", "time", "aborted", "producer"}


def test_internal_topics_are_decoded(tmp_path: pathlib.Path) -> None:
    from fastbroker.protocol.group_records import OffsetCommitKey, OffsetCommitValue
    from fastbroker.protocol.record_frames import encode_key, encode_value
    from fastbroker.records.builder import build_batch

    folder = tmp_path / "__consumer_offsets-3"
    folder.mkdir()
    key = encode_key(OffsetCommitKey(group="shop", topic="clicks", partition=2))
    value = encode_value(OffsetCommitValue(offset=42, metadata="", commit_timestamp=NOW), 3)
    records = [(key, value, (), NOW), (key, None, (), NOW), (b"\0\x63", b"", (), NOW)]
    (folder / f"{FIRST}.log").write_bytes(build_batch(records))
    told = dump(folder / f"{FIRST}.log", "--records")
    assert 'OffsetCommit  {group="shop", topic="clicks", partition=2}  {offset=42' in told
    assert "tombstone" in told
    found = [one.get("decoded") for one in facts(folder, "--records") if one["type"] == "record"]
    assert found[0]["value"]["offset"] == 42
    assert found[1]["value"] is None
    assert found[2] is None


def test_a_long_log_is_printed_as_it_is_read_and_can_be_stopped(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    for _ in range(20_000):
        log.append(batch("v"), leader_epoch=0, now_ms=NOW, produce_version=9)
    log.close()
    command = [sys.executable, "-m", "fastbroker", "log", "dump", log.directory]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert said == ""
        assert rest.count("\n") < 20_000
    done = subprocess.run(
        f"{' '.join(command)} | head -3", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""


def test_what_it_cannot_show_it_says(tmp_path: pathlib.Path) -> None:
    assert "there is no" in dump(tmp_path / "nowhere", status=1)
    assert "there is no log in" in dump(tmp_path, status=1)
    (tmp_path / "notes.txt").write_text("x")
    assert "not known as a broker's file" in dump(tmp_path / "notes.txt", status=1)


def test_bytes_are_readable() -> None:
    assert readable(None) == "null"
    assert readable(b"") == '""'
    assert readable("grün".encode()) == '"grün"'
    assert readable(b"\x1b[31mred") == '"\\u001b[31mred"'
    assert readable("\x9b31m".encode()) == '"\\u009b31m"'
    assert readable(b"\xff\x00") == "0xff00"
    assert readable(b"\xff" * 100) == f"0x{'ff' * 50}… (100 bytes)"
    assert readable("é".encode() * 1000).endswith("é\"… (2,000 bytes)")


def test_times_that_are_none() -> None:
    assert moment_ms(-1) == "-"
    assert moment_ms(0) == "1970-01-01 00:00:00.000"
    assert moment_ms(2**62) == f"{2**62} ms"
