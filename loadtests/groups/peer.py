"""A connection of our own to a broker: many calls in flight, answers awaited."""
from __future__ import annotations

import asyncio
from typing import Any

from fastbroker.model import Deferred
from fastbroker.net.client import BrokerClient

CALL_TIMEOUT_MS = 120_000


class Peer:
    """One connection, owned by the running loop."""

    def __init__(self, address: str, client_id: str = "peer") -> None:
        host, _, port = address.rpartition(":")
        self._loop = asyncio.get_running_loop()
        self._client = BrokerClient(self._loop, (host, int(port)), client_id=client_id)
        self._client.start()

    def ask(self, request: Any, version: int) -> Deferred[Any]:
        """Send; the answer, for whoever has no task to wait in."""
        return self._client.call(request, version, timeout_ms=CALL_TIMEOUT_MS)

    def call(self, request: Any, version: int) -> asyncio.Future[Any]:
        """Send; the answer, or the error that there is none."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def answered(answer: Deferred[Any]) -> None:
            if future.done():
                return
            if answer.error is not None:
                future.set_exception(answer.error)
            else:
                future.set_result(answer.result())

        self.ask(request, version).then(answered)
        return future

    def close(self) -> None:
        self._client.close()
