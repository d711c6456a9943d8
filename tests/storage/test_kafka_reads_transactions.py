"""Transactions in files, as Apache Kafka's own dump tool understands them."""
from __future__ import annotations

import pathlib
import random
import re
import subprocess

import pytest

from fastbroker.config.topic import TopicConfig
from tests.apache_kafka import tools
from tests.storage.logs import open_log
from tests.storage.transactions import Chaos, batches_of, truth

NUMBER = r"(-?\d+)"


@pytest.mark.kafka
def test_kafkas_dump_reads_markers_aborted_transactions_and_producers(
    tmp_path: pathlib.Path,
) -> None:
    log = open_log(tmp_path, TopicConfig(segment_bytes=3000, index_interval_bytes=150))
    chaos = Chaos(log, random.Random(3))
    for _ in range(150):
        chaos.step()
    log.close()
    folder = pathlib.Path(log.directory)
    names = sorted(
        str(file) for kind in ("log", "txnindex", "snapshot") for file in folder.glob(f"*.{kind}")
    )
    args = ["--print-data-log", "--files", ",".join(names)]
    told = tools.run("kafka-dump-log", args, stdout=subprocess.PIPE, check=True).stdout
    assert "isvalid: false" not in told

    said = truth(batches_of(log))
    entry = rf"^version: 0 producerId: {NUMBER} firstOffset: {NUMBER} lastOffset: {NUMBER} last"
    aborted = [tuple(map(int, row)) for row in re.findall(entry, told, re.M)]
    assert len(said.aborted) > 5
    assert sorted(aborted) == sorted(said.aborted)
    markers = re.findall(r"endTxnMarker: (COMMIT|ABORT) coordinatorEpoch: 3", told)
    assert markers.count("ABORT") >= len(said.aborted)
    assert len(markers) == sum(one.header.is_control for one in batches_of(log))

    last = told.rindex("Dumping " + max(name for name in names if name.endswith("snapshot")))
    producer = (
        rf"^producerId: {NUMBER} producerEpoch: {NUMBER} coordinatorEpoch: {NUMBER}"
        r" currentTxnFirstOffset: OptionalLong(?:\.empty|\[(\d+)\])"
        rf"(?: lastTimestamp: \d+)(?: firstSequence: \d+ lastSequence: {NUMBER})?"
    )
    block = told[last:].split("\nDumping", 1)[0]
    found = {
        int(pid): (int(epoch), int(by), int(first or -1), int(sequence or -1))
        for pid, epoch, by, first, sequence in re.findall(producer, block, re.M)
    }
    assert said.begun, "some are open"
    assert found == {
        pid: (one.epoch, one.coordinator_epoch, one.txn_first_offset, one.last_sequence)
        for pid, one in log.producers.producers.items()
    }
