"""The records of groups and offsets, as Apache Kafka's own dump tool understands them."""
from __future__ import annotations

import json
import pathlib
import re
import subprocess

import pytest

from tests.apache_kafka import tools
from tests.group.bench import Bench


@pytest.mark.kafka
def test_kafkas_dump_reads_groups_offsets_and_deletions(tmp_path: pathlib.Path) -> None:
    bench = Bench(offsets_topic_num_partitions=1)
    waiting = [bench.join(instance="i1"), bench.enter()]
    bench.timers.advance(200)
    joined = [one.result() for one in waiting]
    bench.assign(joined)
    bench.commit({("orders", 0): 5}, member_id=joined[0].member_id, generation=1, metadata="note")
    bench.commit({("orders", 1): 6}, version=4, retention_ms=1_000, group_id="s")
    bench.delete("s")
    bench.commit_in_transaction({("orders", 2): 7}, producer_id=9, producer_epoch=3)
    bench.end(commit=True, producer_id=9, producer_epoch=4)
    segment = tmp_path / "00000000000000000000.log"
    segment.write_bytes(b"".join(bench.log.batches(0)))
    args = ["--offsets-decoder", "--files", str(segment)]
    dumped = tools.run("kafka-dump-log", args, stdout=subprocess.PIPE, check=True).stdout
    found = re.findall(r"key: (\{.*\}) payload: (.*)$", dumped, re.M)
    group, offset, own, *deletions, pending = [
        (json.loads(key), None if value == "<DELETE>" else json.loads(value))
        for key, value in found
    ]
    assert group[0] == {"type": "2", "data": {"group": "g"}}
    assert [m["groupInstanceId"] for m in group[1]["data"]["members"]] == ["i1", None]
    assert offset[0]["data"] == {"group": "g", "topic": "orders", "partition": 0}
    assert (offset[1]["version"], offset[1]["data"]["offset"]) == ("4", 5)
    assert (own[1]["version"], own[1]["data"]["metadata"]) == ("1", "")
    assert (pending[0]["data"]["partition"], pending[1]["data"]["offset"]) == (2, 7)
    assert "endTxnMarker: COMMIT coordinatorEpoch: 0" in dumped
    transactional = "isTransactional: true isControl: false"
    assert re.search(f"producerId: 9 producerEpoch: 3 .*{transactional}", dumped)
    assert [(key["type"], value) for key, value in deletions] == [("1", None), ("2", None)]
