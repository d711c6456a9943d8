"""Our bytes through Apache Kafka's own generated classes: read, written again, equal.

One JVM for all messages and records at all versions (RoundTrip.java). Kafka writes what it read, so
equal bytes mean that both agree on every field's place, width, null and default; names are not seen
here but by the other oracles.
"""
from __future__ import annotations

import io
import pathlib
import random
import struct
import subprocess
from typing import Any

import pytest

from fastbroker._c.codec import encode
from fastbroker.protocol.schema import plan
from tests.apache_kafka.tools import command
from tests.protocol.random_messages import Case, Maker, api_cases, record_cases

MESSAGES_A_CASE = 5
PACKAGES = {
    "consumer_protocol": "org.apache.kafka.common.message",
    "group_records": "org.apache.kafka.coordinator.group.generated",
    "metadata_records": "org.apache.kafka.common.metadata",
    "principal": "org.apache.kafka.common.message",
    "producer_snapshot": "org.apache.kafka.server.log.remote.metadata.storage.generated",
    "raft_records": "org.apache.kafka.common.message",
    "remote_log_records": "org.apache.kafka.server.log.remote.metadata.storage.generated",
    "share_records": "org.apache.kafka.coordinator.share.generated",
    "streams_records": "org.apache.kafka.coordinator.group.generated",
    "txn_records": "org.apache.kafka.coordinator.transaction.generated",
}
GROUP_COORDINATOR = "org.apache.kafka.coordinator.group.generated"


def java_class(case: Case) -> str:
    """The name of Kafka's class for the same message."""
    name = case.cls.__name__
    if case.module is None:
        return f"org.apache.kafka.common.message.{name}Data"
    module = case.module.__name__.rpartition(".")[2]
    if name.startswith("ShareGroup"):
        return f"{GROUP_COORDINATOR}.{name}"
    return f"{PACKAGES[module]}.{name}"


@pytest.mark.kafka
def test_kafka_reads_our_bytes_and_writes_the_same(tmp_path: pathlib.Path) -> None:
    sent: list[tuple[Case, Any, bytes]] = []
    questions = io.BytesIO()
    for case in (*api_cases(), *record_cases()):
        maker = Maker(random.Random(f"java {case}"))
        name = java_class(case).encode()
        for _ in range(MESSAGES_A_CASE):
            message = maker.message(case.cls, case.version)
            data = encode(plan(case.cls, case.version), message)
            sent.append((case, message, data))
            questions.write(struct.pack(">h", len(name)) + name)
            questions.write(struct.pack(">hi", case.version, len(data)) + data)
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    asked.write_bytes(questions.getvalue())
    program = str(pathlib.Path(__file__).with_name("RoundTrip.java"))
    subprocess.run(command(program, [str(asked), str(answered)]), check=True, timeout=110)
    answers = io.BytesIO(answered.read_bytes())
    problems = []
    for case, message, data in sent:
        left, length = struct.unpack(">ii", answers.read(8))
        again = answers.read(length)
        if left < 0:
            problems.append(f"{case}: {again.decode()[:600]}\n{message!r}"[:2000])
        elif left or again != data:
            problems.append(f"{case}: {left} bytes left\n{data.hex()}\n{again.hex()}\n{message!r}")
    assert not answers.read(1)
    assert not problems, f"{len(problems)} problems\n" + "\n".join(problems[:5])
