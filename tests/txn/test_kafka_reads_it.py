"""The records of transactions, as Apache Kafka writes them and as its own dump tool reads them."""
from __future__ import annotations

import json
import pathlib
import re
import subprocess
from dataclasses import replace

import pytest

from fastbroker.model import TopicPartition
from fastbroker.txn.record import read_key, read_value, record
from fastbroker.txn.state import State
from tests.apache_kafka import tools
from tests.txn.bench import Bench, Producer

KEY = "000000027478"
# Values of the id "tx" in the log of Apache Kafka 4.3.1, with transaction.version 2: state, epoch,
# partitions of "orders", the client's version.
WRITTEN = [
    (State.EMPTY, 0, 0, 0,
     "0001000000000000000000000000ea600000000001a2155b76a2ffffffffffffffff0100080000000000000000"),
    (State.ONGOING, 0, 1, 0,
     "0001000000000000000000000000ea600102076f7264657273020000000000000001a2155b76d6000001a2155b76ce"
     "0100080000000000000000"),
    (State.ONGOING, 0, 2, 2,
     "0001000000000000000000000000ea600102076f726465727303000000000000000100000001a2155bc532000001a2"
     "155b76ce020008000000000000000002020002"),
    (State.COMPLETE_COMMIT, 1, 0, 2,
     "0001000000000000000000010000ea600401000001a2155bc56d000001a2155b76ce020008000000000000000002"
     "020002"),
    (State.EMPTY, 2, 0, 2,
     "0001000000000000000000020000ea600000000001a2155bc589ffffffffffffffff020008000000000000000002"
     "020002"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "epoch", "partitions", "version", "value"), WRITTEN)
def test_what_kafka_wrote_is_what_we_write(
    state: State, epoch: int, partitions: int, version: int, value: str
) -> None:
    assert read_key(bytes.fromhex(KEY)) == "tx"
    kept = read_value(bytes.fromhex(value))
    assert (kept.state, kept.producer_epoch, kept.client_version) == (state, epoch, version)
    assert kept.partitions == {TopicPartition("orders", n) for n in range(partitions)}
    assert (kept.producer_id, kept.previous_producer_id, kept.next_producer_id) == (0, 0, -1)
    assert kept.timeout_ms == 60_000
    assert record("tx", kept, version=2) == (bytes.fromhex(KEY), bytes.fromhex(value))


@pytest.mark.kafka
def test_kafkas_dump_reads_every_state(tmp_path: pathlib.Path) -> None:
    bench = Bench(transaction_state_log_num_partitions=1)
    bench.end("t", bench.ongoing("t", ("orders", 1), ("orders", 0), ("clicks", 7)))
    bench.end("u", bench.ongoing("u"), commit=False, version=4)
    bench.init()
    bench.put(replace(bench.kept(), producer_epoch=32766))
    last = Producer(bench.kept().producer_id, 32766)
    bench.enlist("t", last, ("orders", 0))
    bench.end("t", last)
    bench.timers.advance(8 * 86_400_000)
    bench.coordinator.expire(bench.timers.now_ms())
    segment = tmp_path / "00000000000000000000.log"
    segment.write_bytes(b"".join(bench.log.batches(0)))
    args = ["--transaction-log-decoder", "--files", str(segment)]
    dumped = tools.run("kafka-dump-log", args, stdout=subprocess.PIPE, check=True).stdout
    found = [
        (json.loads(key)["data"]["transactionalId"],
         None if value == "<DELETE>" else json.loads(value)["data"])
        for key, value in re.findall(r"key: (\{.*\}) payload: (.*)$", dumped, re.M)
    ]  # fmt: skip
    states = [(name, value and State(value["transactionStatus"]).title) for name, value in found]
    assert states == [
        ("t", "Empty"), ("t", "Ongoing"), ("t", "PrepareCommit"), ("t", "CompleteCommit"),
        ("u", "Empty"), ("u", "Ongoing"), ("u", "PrepareAbort"), ("u", "CompleteAbort"),
        ("t", "Empty"), ("t", "Ongoing"), ("t", "PrepareCommit"), ("t", "CompleteCommit"),
        ("t", None), ("u", None),
    ]  # fmt: skip
    assert found[1][1]["transactionPartitions"] == [
        {"topic": "clicks", "partitionIds": [7]}, {"topic": "orders", "partitionIds": [0, 1]},
    ]  # fmt: skip
    assert found[2][1]["clientTransactionVersion"] == 2
    overflowing, after = found[10][1], found[11][1]
    assert (overflowing["producerEpoch"], after["producerEpoch"]) == (32767, 0)
    assert overflowing["nextProducerId"] == after["producerId"]
    assert after["previousProducerId"] == overflowing["producerId"]
