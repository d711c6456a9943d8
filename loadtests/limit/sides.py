"""The two that are compared: each a context manager with the port and the pid that serves it."""
from __future__ import annotations

import contextlib
import pathlib
import socket
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from loadtests.wire import call
from tests.broker_process import BrokerProcess, free_ports, wait_until

TOPIC = "limit"
PARTITIONS = 4
COPY_BELOW = 1 << 15  # bytes of a fetch that the C server copies instead of sending the file
KAFKA_FLUSH_MESSAGES = 2**63 - 1  # Kafka's default: an answer does not wait for the medium
BATCH_MAX = 2 << 20


class Side(NamedTuple):
    """A server that is up, with an empty topic TOPIC of PARTITIONS."""

    port: int
    pid: int


@contextlib.contextmanager
def ours(data: pathlib.Path, *, flush: bool) -> Iterator[Side]:
    """The broker with one worker; `pid` is the worker's."""
    settings = [f"message.max.bytes={BATCH_MAX}"]
    if not flush:
        settings.append(f"log.flush.interval.messages={KAFKA_FLUSH_MESSAGES}")
    with BrokerProcess(data, workers=1, settings=settings) as broker:
        topic = CreateTopicsRequest.CreatableTopic(
            name=TOPIC, num_partitions=PARTITIONS, replication_factor=1
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=10_000)

        def created() -> bool:
            with socket.create_connection(("127.0.0.1", broker.port), 10) as sock:
                code = call(sock, request, 5).topics[0].error_code
            return code in (0, 36)  # 36: it is there already

        wait_until(created, 10, "the topic")
        yield Side(broker.port, broker.roles()["fb-worker-0"])


@contextlib.contextmanager
def limit(program: pathlib.Path, data: pathlib.Path, *, flush: bool) -> Iterator[Side]:
    """The C server."""
    port = free_ports(1)
    command = [str(program), str(port), str(data), str(PARTITIONS), str(int(flush))]
    server = subprocess.Popen([*command, str(COPY_BELOW)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        if server.stdout.readline() != b"ready\n":
            raise SystemExit("the C server did not start")
        yield Side(port, server.pid)
    finally:
        server.terminate()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
