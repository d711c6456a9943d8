"""Workers that call each other through Unix sockets."""
from __future__ import annotations

import asyncio
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from fastbroker import errors
from fastbroker.coordination.added_partitions import topics_of
from fastbroker.handlers.context import TRANSACTIONS_TOPIC
from fastbroker.model import Deferred, TopicPartition
from fastbroker.net.address import connect_unix
from fastbroker.protocol.header import encode_request
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.schema import Struct
from fastbroker.worker.peers import Peers
from tests.handlers.bench import ME, Bench

DEADLINE_S = 10
OTHER = ME + 1000


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


class Host:
    """One worker that serves, and another that asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: pathlib.Path) -> None:
        self.loop, self.path = loop, path
        self.serving = Bench(path / "one")
        self.serving.create(TRANSACTIONS_TOPIC)
        self.serving.create("orders")
        self.asking = Bench(path / "two")
        self.asking.broker.broker_id = OTHER
        self.one = Peers(loop, self.serving.broker, str(path))
        self.two = Peers(loop, self.asking.broker, str(path))
        self.one.start()
        self.two.start()

    def until(self, condition: Callable[[], object]) -> None:
        async def wait() -> None:
            while not condition():
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(wait(), DEADLINE_S))

    def wait(self, answer: Deferred[Any]) -> Any:
        self.until(lambda: answer.done)
        return answer.result()

    def close(self) -> None:
        self.one.close()
        self.two.close()
        self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def host(loop: asyncio.AbstractEventLoop, tmp_path: pathlib.Path) -> Iterator[Host]:
    made = Host(loop, tmp_path)
    yield made
    made.close()


def addition(name: str = "tx") -> AddPartitionsToTxnRequest:
    one = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
        transactional_id=name,
        producer_id=1001,
        producer_epoch=0,
        topics=topics_of([TopicPartition("orders", 0)]),
    )
    return AddPartitionsToTxnRequest(transactions=[one])


def codes(answer: Any) -> list[int]:
    return [
        one.partition_error_code
        for result in answer.results_by_transaction
        for topic in result.topic_results
        for one in topic.results_by_partition
    ]


def test_one_asks_the_other(host: Host) -> None:
    assert codes(host.wait(host.two.call(ME, addition(), 5))) == [49]
    host.serving.ask(InitProducerIdRequest(transactional_id="tx", transaction_timeout_ms=1000), 5)
    assert codes(host.wait(host.two.call(ME, addition(), 5))) == [0]


def test_a_call_to_oneself_takes_no_detour(host: Host) -> None:
    answer = host.one.call(ME, addition(), 5)
    assert codes(answer.result()) == [49]


def test_many_calls_at_once_and_answers_in_any_order(host: Host) -> None:
    answers = [host.two.call(ME, addition(f"t{n}"), 5) for n in range(200)]
    for answer in answers:
        assert codes(host.wait(answer)) == [49]


def test_a_broker_that_is_not_there_is_not_called(host: Host) -> None:
    for broker_id in (ME + 2000, 5):
        error = host.two.call(broker_id, addition(), 5).error
        assert isinstance(error, errors.NetworkException)


def test_a_call_waits_for_the_other_to_come_back(host: Host) -> None:
    host.one.close()
    answer = host.two.call(ME, addition(), 5)
    again = Peers(host.loop, host.serving.broker, str(host.path))
    again.start()
    assert codes(host.wait(answer)) == [49]
    again.close()


def test_a_broker_that_has_gone_is_let_go(host: Host) -> None:
    host.one.close()
    answer = host.two.call(ME, addition(), 5)
    image = host.asking.broker.image
    host.two.apply(image._replace(brokers={}))
    assert isinstance(answer.error, errors.NetworkException)


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (MetadataRequest(topics=None), 12),
        (InitProducerIdRequest(transactional_id="tx", transaction_timeout_ms=1), 5),
        (AddPartitionsToTxnRequest(), 3),
    ],
)
def test_what_clients_ask_is_not_served(host: Host, request_: Struct, version: int) -> None:
    sock = connect_unix(str(host.path / "run" / f"broker-{ME}.sock"))
    parts = encode_request(request_, version, 1, "a client")
    sock.sendall(b"".join(bytes(part) for part in parts))  # type: ignore[arg-type]
    assert host.loop.run_until_complete(
        asyncio.wait_for(host.loop.sock_recv(sock, 10), DEADLINE_S)
    ) == b""
    sock.close()


def test_the_socket_is_for_the_user_alone_and_goes_with_the_worker(host: Host) -> None:
    path = host.path / "run" / f"broker-{ME}.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    host.one.close()
    assert not os.path.exists(path)
