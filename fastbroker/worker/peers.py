"""Calls between the workers of a host, through Unix sockets: <data>/run/broker-<id>.sock.

Each worker listens on its own and connects to another's when it first has something to ask. What
is served here is what brokers ask of each other, and nothing else.
"""
from __future__ import annotations

import contextlib
import logging
import os
from asyncio import AbstractEventLoop
from os.path import join
from typing import Any

from fastbroker._c.connection import Connection
from fastbroker.errors import CorruptFrame, NetworkException
from fastbroker.handlers.context import Broker, RequestContext
from fastbroker.handlers.registry import Served
from fastbroker.handlers.served import SERVED
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import WORKER_STRIDE, Deferred
from fastbroker.net.address import listen
from fastbroker.net.client import BrokerClient
from fastbroker.net.listener import Listener
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.header import decode_request, encode_response, parse_header
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from fastbroker.protocol.messages.write_txn_markers import WriteTxnMarkersRequest
from fastbroker.protocol.schema import Struct

log = logging.getLogger(__name__)

# API key: the first version that brokers use among themselves.
BETWEEN_BROKERS = {AddPartitionsToTxnRequest.KEY: 4, WriteTxnMarkersRequest.KEY: 1}
CALL_TIMEOUT_MS = 5_000
LISTENER = "PEERS"


class Peers:
    """The other brokers of this host, and what they ask of this one. Owned by the worker's loop."""

    def __init__(self, loop: AbstractEventLoop, broker: Broker, data_dir: str) -> None:
        self.loop, self.broker = loop, broker
        self._directory = join(data_dir, "run")
        self._name = f"broker-{broker.broker_id}"
        self._clients: dict[int, BrokerClient] = {}
        self._listener: Listener | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._listener = Listener(
            self.loop,
            listen(self._path(self.broker.broker_id)),
            name=LISTENER,
            dispatch=self._dispatch,
            max_frame_bytes=self.broker.config["socket.request.max.bytes"],
        )
        self._listener.start()

    def close(self) -> None:
        """Listen no more; calls that wait fail."""
        if self._listener is not None:
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(self.broker.broker_id))
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def apply(self, image: MetadataImage) -> None:
        """Let go of brokers that are registered no more."""
        for broker_id in [one for one in self._clients if one not in image.brokers]:
            self._clients.pop(broker_id).close()

    def call(self, broker_id: int, request: Struct, api_version: int) -> Deferred[Any]:
        """The response of a broker; of this one without a detour.

        Fails with NetworkException when it is not there, RequestTimedOut when it says nothing.
        """
        if broker_id == self.broker.broker_id:
            served = self._served(type(request).KEY, api_version)
            return self._handle(served, type(request).KEY, api_version, request, None)
        client = self._clients.get(broker_id)
        if client is None:
            if broker_id not in self.broker.image.brokers or not self._is_near(broker_id):
                failed: Deferred[Any] = Deferred()
                failed.fail(NetworkException(f"broker {broker_id} cannot be reached from here"))
                return failed
            client = self._clients[broker_id] = BrokerClient(
                self.loop, self._path(broker_id), client_id=self._name
            )
            client.start()
        return client.call(request, api_version, timeout_ms=CALL_TIMEOUT_MS)

    def _is_near(self, broker_id: int) -> bool:
        """It is a worker of this host."""
        return broker_id % WORKER_STRIDE == self.broker.broker_id % WORKER_STRIDE

    def _path(self, broker_id: int) -> str:
        return join(self._directory, f"broker-{broker_id}.sock")

    # ---- what others ask

    def _dispatch(self, connection: Connection, frame: memoryview) -> bool:
        """Answer one frame, now or later; others may be answered before it is."""
        header, offset = parse_header(frame)
        served = self._served(header.api_key, header.api_version)
        request = decode_request(header, frame, offset)
        place = connection.reserve()

        def answered(answer: Deferred[Any]) -> None:
            if connection.is_closed:
                return
            if answer.error is not None:
                name = NAMES[header.api_key]
                log.error("%s of %s failed", name, header.client_id, exc_info=answer.error)
                connection.close(f"{name} could not be answered: {answer.error}")
                return
            response = encode_response(answer.result(), header.api_version, header.correlation_id)
            connection.reply(place, response)

        self._handle(
            served, header.api_key, header.api_version, request, connection, header.client_id
        ).then(answered)
        return True

    def _served(self, api_key: int, api_version: int) -> Served:
        """Raises CorruptFrame for what brokers do not ask of each other."""
        served, first = SERVED.get(api_key), BETWEEN_BROKERS.get(api_key)
        if served is None or first is None or not first <= api_version <= served.last:
            raise CorruptFrame(
                f"API key {api_key} v{api_version} is not served between brokers"
            )
        return served

    def _handle(
        self,
        served: Served,
        api_key: int,
        api_version: int,
        request: Any,
        connection: Connection | None,
        client_id: str | None = None,
    ) -> Deferred[Any]:
        assert isinstance(request, api(api_key).request)
        ctx = RequestContext(
            self.broker, api_key, api_version, client_id or self._name, "/127.0.0.1", LISTENER,
            ("127.0.0.1", 0), connection,
        )  # fmt: skip
        answer = served.handler(ctx, request)
        if isinstance(answer, Deferred):
            return answer
        done: Deferred[Any] = Deferred()
        done.complete(answer)
        return done
