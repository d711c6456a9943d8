"""The Kafka that does next to nothing is there for any client, with the topics of a load test."""
from __future__ import annotations

import subprocess
import sys

from confluent_kafka import Producer

from tests.broker_process import ROOT

DEADLINE_S = 30.0


def test_a_client_writes_to_it_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "loadtests.mock_cluster"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            client = Producer({"bootstrap.servers": process.stdout.readline().strip()})
            topics = client.list_topics(timeout=DEADLINE_S).topics
            client.produce("loadtest", b"one")
            assert client.flush(DEADLINE_S) == 0
        finally:
            process.terminate()
        assert process.wait(DEADLINE_S) == 0
    assert {"loadtest", "loadtest-probe"} <= set(topics)
