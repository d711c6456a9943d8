"""Calls from one of our processes to another: requests out, decoded responses back.

One connection, many calls in flight, answers matched by correlation id. When the connection is lost
every call in flight fails with NetworkException, and the client connects again by itself; a call
made meanwhile waits for that, up to its own timeout.
"""
from __future__ import annotations

import asyncio
import logging
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections.abc import Callable
from typing import Any

from fastbroker import errors
from fastbroker._c.connection import Connection
from fastbroker.model import Deferred
from fastbroker.net.address import Address, connect_unix, connecting
from fastbroker.protocol.header import decode_response, encode_request

log = logging.getLogger(__name__)

FRAME_MAX_BYTES = 100 * 1024 * 1024
IN_FLIGHT_MAX = 10_000
RECONNECT_FIRST_S, RECONNECT_MAX_S = 0.01, 0.5
CONNECT_TIMEOUT_S = 10.0


class _Call:
    __slots__ = ("api_version", "deferred", "request", "timer")

    def __init__(self, request: Any, api_version: int) -> None:
        self.request, self.api_version = request, api_version
        self.deferred: Deferred[Any] = Deferred()
        self.timer: TimerHandle | None = None


class BrokerClient:
    """A connection to `address` that is kept up until `close()`.

    connected(): called after each successful connect, before waiting calls are sent.
    disconnected(reason): called after each loss of an established connection.
    Owned by one process's event loop.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        address: Address,
        *,
        client_id: str,
        connected: Callable[[], object] | None = None,
        disconnected: Callable[[str], object] | None = None,
    ) -> None:
        self.loop, self.address, self.client_id = loop, address, client_id
        self._connected, self._disconnected = connected, disconnected
        self._connection: Connection | None = None
        self._in_flight: dict[int, _Call] = {}
        self._waiting: list[_Call] = []
        self._next_id = 0
        self._backoff_s = RECONNECT_FIRST_S
        self._retry: TimerHandle | None = None
        self._connecting: Task[None] | None = None
        self._open = True

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def start(self) -> None:
        """Begin to connect."""
        self._connect()

    def close(self) -> None:
        """Close for good; calls in flight and waiting fail."""
        self._open = False
        if self._retry is not None:
            self._retry.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close("the client closed")
        self._fail_all([*self._waiting], "the client closed")
        self._waiting.clear()

    def call(
        self, request: Any, api_version: int, *, timeout_ms: float = 30_000
    ) -> Deferred[Any]:
        """Send `request`; the Deferred gets the decoded response.

        Fails with RequestTimedOut after `timeout_ms`, with NetworkException when the connection is
        lost after the request was sent or too many calls are in flight.
        """
        call = _Call(request, api_version)
        if not self._open or len(self._in_flight) + len(self._waiting) >= IN_FLIGHT_MAX:
            call.deferred.fail(errors.NetworkException(f"no further call to {self.address}"))
            return call.deferred
        call.timer = self.loop.call_later(timeout_ms / 1000, self._time_out, call)
        if self._connection is None:
            self._waiting.append(call)
        else:
            self._send(call)
        return call.deferred

    def _send(self, call: _Call) -> None:
        assert self._connection is not None
        correlation_id = self._next_id
        self._next_id = (correlation_id + 1) & 0x7FFFFFFF
        self._in_flight[correlation_id] = call
        self._connection.send(
            encode_request(call.request, call.api_version, correlation_id, self.client_id)
        )

    def _time_out(self, call: _Call) -> None:
        # An answer that still comes finds its call done and is dropped.
        if call in self._waiting:
            self._waiting.remove(call)
        if not call.deferred.done:
            name = type(call.request).__name__
            call.deferred.fail(errors.RequestTimedOut(f"{name}: no answer from {self.address}"))

    def _dispatch(self, connection: Connection, frame: memoryview) -> bool:
        correlation_id = int.from_bytes(frame[:4], "big", signed=True)
        call = self._in_flight.pop(correlation_id, None)
        if call is None:
            raise errors.CorruptFrame(f"an answer to call {correlation_id}, which is not in flight")
        if call.timer is not None:
            call.timer.cancel()
        if not call.deferred.done:
            _, response = decode_response(type(call.request), call.api_version, frame)
            call.deferred.complete(response)
        return True

    def _connect(self) -> None:
        self._retry = None
        if not self._open:
            return
        if isinstance(self.address, str):
            try:
                sock = connect_unix(self.address)
            except OSError as error:
                self._connect_later(error)
            else:
                self._established(sock.detach())
        else:
            self._connecting = self.loop.create_task(self._connect_tcp())

    async def _connect_tcp(self) -> None:
        sock, address = connecting(self.address)
        try:
            await asyncio.wait_for(self.loop.sock_connect(sock, address), CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            sock.close()
            self._connect_later(error)
        except asyncio.CancelledError:
            sock.close()
            raise
        else:
            self._established(sock.detach())
        finally:
            self._connecting = None

    def _connect_later(self, error: BaseException) -> None:
        log.debug("cannot connect to %s: %s", self.address, error)
        self._retry = self.loop.call_later(self._backoff_s, self._connect)
        self._backoff_s = min(self._backoff_s * 2, RECONNECT_MAX_S)

    def _established(self, fd: int) -> None:
        self._backoff_s = RECONNECT_FIRST_S
        self._connection = Connection(
            self.loop,
            fd,
            self._dispatch,
            self._lost,
            max_frame_bytes=FRAME_MAX_BYTES,
            peer=self.address,
        )
        if self._connected is not None:
            self._connected()
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if self._connection is None:  # lost again while sending
                self._waiting.append(call)
            else:
                self._send(call)

    def _lost(self, _: Connection, reason: str, error: BaseException | None) -> None:
        self._connection = None
        if error is not None:
            log.error("the connection to %s was lost: %s", self.address, reason, exc_info=error)
        calls = list(self._in_flight.values())
        self._in_flight.clear()
        if self._open:
            self._retry = self.loop.call_later(self._backoff_s, self._connect)
        if self._disconnected is not None:
            self._disconnected(reason)
        self._fail_all(calls, reason)

    def _fail_all(self, calls: list[_Call], reason: str) -> None:
        for call in calls:
            if call.timer is not None:
                call.timer.cancel()
            if not call.deferred.done:
                call.deferred.fail(errors.NetworkException(f"{self.address}: {reason}"))
