"""What tests of Kafka's command line tools use: the tools, and a topic for them."""
from __future__ import annotations

import pathlib
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.apache_kafka import tools
from tests.interop import installs
from tests.interop.broker import Broker

STACK_TRACE = re.compile(r"^\s+at [\w.$/]+\(|Exception in thread| ERROR ", re.M)
TOOL_TIMEOUT_S = 60
SEGMENT_BYTES = 1 << 20  # the least that Kafka allows

Tool = Callable[..., str]


@pytest.fixture(scope="session")
def offline_tool() -> Tool:
    """Run a tool by name with arguments and an optional `stdin`; what it printed, warnings too.

    failing: it cannot do what it is asked for, and says so; some do with exit status 0.
    """
    installs.kafka_jars()

    def run(name: str, *args: str, stdin: str = "", failing: bool = False) -> str:
        done = tools.run(
            name, args, input=stdin, capture_output=True, timeout=TOOL_TIMEOUT_S, errors="replace"
        )
        said = f"{done.stdout}\n{done.stderr}"
        if failing:
            return said
        assert done.returncode == 0, f"{name} {' '.join(args)}: exit {done.returncode}\n{said}"
        assert not STACK_TRACE.search(said), f"{name} {' '.join(args)}:\n{said}"
        return said

    return run


@pytest.fixture(scope="session")
def tool(broker: Broker, offline_tool: Tool) -> Tool:
    """The same, told the broker's address."""
    tools.keep_loaded(broker.bootstrap)

    def run(name: str, *args: str, **how: Any) -> str:
        return offline_tool(name, "--bootstrap-server", broker.bootstrap, *args, **how)

    return run


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for a topic."""
    return f"tools-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap})


@pytest.fixture
def topic(admin: AdminClient, name: str) -> Iterator[str]:
    """A topic of two partitions, small segments and dense indexes."""
    config = {"segment.bytes": str(SEGMENT_BYTES), "index.interval.bytes": "100"}
    admin.create_topics([NewTopic(name, 2, 1, config=config)])[name].result(30)
    yield name
    admin.delete_topics([name])[name].result(30)


def data_dir(broker: Broker) -> pathlib.Path:
    """Where the files are; skips when the broker is elsewhere."""
    if broker.data_dir is None:
        pytest.skip("the broker's files are not known: set FASTBROKER_TEST_DATA")
    return broker.data_dir


def fill(
    broker: Broker, topic: str, *, values: list[bytes], codec: str = "none", batch: int = 1000
) -> None:
    """Send `values` to both partitions of `topic`, at most `batch` records a batch."""
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "enable.idempotence": True,
            "compression.type": codec,
            "batch.num.messages": batch,
        }
    )
    for value in values:
        for partition in (0, 1):
            producer.produce(topic, value=value, key=b"key", partition=partition)
    assert producer.flush(30) == 0
