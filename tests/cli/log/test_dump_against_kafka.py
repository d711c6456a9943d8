"""`fastbroker log dump --json` says what Apache Kafka's own dump tool says of the same files."""
from __future__ import annotations

import json
import pathlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from fastbroker.cli.log.log import log
from tests.apache_kafka import tools
from tests.interop.installs import kafka_jars
from tests.storage.verify.damages import make_sample

pytestmark = pytest.mark.kafka
Fact = dict[str, Any]
# Kafka's name of a batch's field -> ours.
FIELDS = {
    "baseOffset": "base_offset", "lastOffset": "last_offset", "count": "records",
    "baseSequence": "base_sequence", "lastSequence": "last_sequence", "producerId": "producer_id",
    "producerEpoch": "producer_epoch", "partitionLeaderEpoch": "leader_epoch",
    "position": "position", "size": "size",
}  # fmt: skip
FLAGS = {"isTransactional": "transactional", "isControl": "control"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    kafka_jars()
    return make_sample(tmp_path_factory.mktemp("log"), 5, is_clean=True).directory


def kafka_says(directory: pathlib.Path, suffix: str, *options: str) -> str:
    files = ",".join(sorted(str(file) for file in directory.glob(f"*{suffix}")))
    args = [*options, "--files", files]
    return tools.run("kafka-dump-log", args, stdout=subprocess.PIPE, check=True).stdout


def we_say(directory: pathlib.Path, suffix: str, *options: str) -> Iterator[Fact]:
    files = sorted(str(file) for file in directory.glob(f"*{suffix}"))
    done = CliRunner().invoke(log, ["dump", "--json", *options, *files], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    yield from (json.loads(line) for line in done.stdout.splitlines())


def fields(line: str) -> dict[str, str]:
    """{"baseOffset": "0", ...} of a line of Kafka's."""
    return dict(re.findall(r"(\w+): (\S+)", line))


def test_batches_and_records(directory: pathlib.Path) -> None:
    told = kafka_says(directory, ".log", "--print-data-log").splitlines()
    batches = [fields(line) for line in told if line.startswith("baseOffset")]
    facts = list(we_say(directory, ".log", "--records"))
    ours = [one for one in facts if one["type"] == "batch"]
    assert len(ours) == len(batches) > 100
    for theirs, mine in zip(batches, ours, strict=True):
        assert {name: str(mine[ours_]) for name, ours_ in FIELDS.items()} == {
            name: theirs[name] for name in FIELDS
        }
        assert {name: str(mine[flag]).lower() for name, flag in FLAGS.items()} == {
            name: theirs[name] for name in FLAGS
        }
        assert theirs["CreateTime"] == str(mine["max_timestamp"])
        assert theirs["compresscodec"] == mine["codec"]
        assert int(theirs["crc"]) == int(mine["crc"], 16)
        assert (theirs["isvalid"] == "true") is (mine["wrong"] is None)
    record = r"^\| offset: (\d+) .*keySize: \d+ .*payload: (.*)$"
    payloads = re.findall(record, "\n".join(told), re.M)
    records = [(str(one["offset"]), one["value"]) for one in facts if one["type"] == "record"]
    data = [one for one in records if one[0] in {offset for offset, _ in payloads}]
    assert data == payloads
    markers = re.findall(r"endTxnMarker: (\w+) coordinatorEpoch: (\d+)", "\n".join(told))
    assert markers == [
        (said["type"], str(said["value"]["coordinator_epoch"]))
        for one in ours for said in one.get("control_records", ())
    ]  # fmt: skip


def test_indexes(directory: pathlib.Path) -> None:
    told = kafka_says(directory, ".index")
    assert [(str(one["offset"]), str(one["position"])) for one in we_say(directory, ".index")] == (
        re.findall(r"^offset: (\d+) position: (\d+)", told, re.M)
    )
    told = kafka_says(directory, ".timeindex")
    ours = [(str(one["timestamp"]), str(one["offset"])) for one in we_say(directory, ".timeindex")]
    assert ours == re.findall(r"^timestamp: (\d+) offset: (\d+)", told, re.M)
    told = kafka_says(directory, ".txnindex")
    names = ("producer_id", "first_offset", "last_offset", "last_stable_offset")
    ours_ = [tuple(str(one[name]) for name in names) for one in we_say(directory, ".txnindex")]
    entry = r"producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)"
    assert ours_ == re.findall(entry, told)
    assert ours_


def test_producers(directory: pathlib.Path) -> None:
    told = kafka_says(directory, ".snapshot").splitlines()
    theirs = [fields(line) for line in told if line.startswith("producerId")]
    ours = list(we_say(directory, ".snapshot"))
    assert len(ours) == len(theirs) > 5
    for one, mine in zip(theirs, ours, strict=True):
        assert one["producerId"] == str(mine["producer_id"])
        assert one["producerEpoch"] == str(mine["producer_epoch"])
        assert one["coordinatorEpoch"] == str(mine["coordinator_epoch"])
        assert int(one.get("lastSequence", -1)) == mine["last_sequence"]
        first = re.search(r"\d+", one["currentTxnFirstOffset"])
        assert int(first[0] if first else -1) == mine["transaction_first_offset"]
