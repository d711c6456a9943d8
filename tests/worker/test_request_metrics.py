"""What the meters have counted, as samples."""
from __future__ import annotations

import asyncio
import pathlib
import socket
from collections.abc import Iterator

import pytest
import uvloop

from fastbroker._c.codec import encode_frame
from fastbroker._c.connection import Connection, measure
from fastbroker.handlers.dispatch import Dispatch
from fastbroker.metrics import catalogue as c
from fastbroker.protocol.header import encode_request
from fastbroker.protocol.messages.delete_records import (
    DeleteRecordsRequest,
    DeleteRecordsResponse,
)
from fastbroker.protocol.schema import Struct, plan
from fastbroker.worker.request_metrics import add_requests
from tests.handlers.bench import LISTENER, Bench, content
from tests.metrics.text import Text
from tests.worker.answers import told

DEADLINE_S = 10.0


class Client:
    """Asks a Bench's broker through a real connection."""

    def __init__(self, bench: Bench) -> None:
        self.loop = uvloop.new_event_loop()
        ours, self.sock = socket.socketpair()
        ours.setblocking(False)
        self.sock.setblocking(False)
        self.connection = Connection(
            self.loop, ours.detach(), Dispatch(bench.broker, LISTENER), bench.broker.closed,
            max_frame_bytes=1 << 20, peer=("127.0.0.1", 1), local=("127.0.0.1", 2),
        )  # fmt: skip

    def ask(self, request: Struct, version: int) -> tuple[int, int]:
        """Bytes of the request and of its answer."""
        data = b"".join(map(content, encode_request(request, version, 1, "test")))

        async def exchange() -> int:
            await self.loop.sock_sendall(self.sock, data)
            answer = await self.loop.sock_recv(self.sock, 1 << 20)
            await asyncio.sleep(0)
            return len(answer)

        return len(data), self.loop.run_until_complete(
            asyncio.wait_for(exchange(), DEADLINE_S)
        )

    def close(self) -> None:
        self.connection.close("test over")
        self.sock.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


@pytest.fixture
def client(tmp_path: pathlib.Path) -> Iterator[Client]:
    measure(True)
    one = Client(Bench(tmp_path))
    yield one
    one.close()
    measure(False)


def page() -> Text:
    return told(add_requests)


def test_requests_bytes_and_errors_of_an_api(client: Client) -> None:
    """Other tests of this process may have counted, too: what is added is looked at."""
    before = page()
    topic = DeleteRecordsRequest.DeleteRecordsTopic(name="none")
    part = DeleteRecordsRequest.DeleteRecordsTopic.DeleteRecordsPartition
    topic.partitions = [part(partition_index=n, offset=0) for n in range(3)]
    request = DeleteRecordsRequest(topics=[topic], timeout_ms=0)
    sizes = [client.ask(request, version) for version in (1, 2, 2)]
    after = page()

    def added(family: c.Family, suffix: str = "", **labels: str) -> float:
        name = family.name + suffix
        labels["request"] = "DeleteRecords"
        return after.sum(name, **labels) - before.sum(name, **labels)

    assert added(c.REQUESTS, version="1") == 1
    assert added(c.REQUESTS, version="2") == 2
    assert added(c.REQUEST_BYTES) == sum(size for size, _ in sizes)
    assert added(c.RESPONSE_BYTES) == sum(size for _, size in sizes)
    assert added(c.ERRORS, error="UNKNOWN_TOPIC_OR_PARTITION") == 9
    for stage in "queue", "append", "send", "total":
        assert added(c.STAGE, "_count", stage=stage) == 3
    for stage in "flush", "replicate":
        assert added(c.STAGE, "_count", stage=stage) == 0


def test_codes_that_nobody_knows_are_one_error(client: Client) -> None:
    client.ask(DeleteRecordsRequest(topics=[], timeout_ms=0), 2)  # an API that is told of
    name, labels = c.ERRORS.name, {"request": "DeleteRecords", "error": "UNKNOWN_SERVER_ERROR"}
    before = page().sum(name, **labels)
    topic = DeleteRecordsResponse.DeleteRecordsTopicResult(name="none")
    part = DeleteRecordsResponse.DeleteRecordsTopicResult.DeleteRecordsPartitionResult
    topic.partitions = [part(error_code=code) for code in (30_000, 30_001, -1)]
    encode_frame(plan(DeleteRecordsResponse, 2), DeleteRecordsResponse(topics=[topic]), b"")
    assert page().sum(name, **labels) - before == 3
