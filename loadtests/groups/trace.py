"""A proxy that notes every request: how long the broker had it, and when the client sent it.

Clients connect to `Proxy.bootstrap`; the addresses in Metadata and FindCoordinator responses are
replaced by ones of the proxy, so that no connection goes past it.
"""
from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from fastbroker._c.buffer import FileRange
from fastbroker.protocol.api import api
from fastbroker.protocol.header import decode_response, encode_response

METADATA, FIND_COORDINATOR = 3, 10
Asked = tuple[int, int, int]  # key, version, when


class Exchange(NamedTuple):
    """A request and when its answer came; nanoseconds of CLOCK_MONOTONIC."""

    api: str
    version: int
    asked: int
    answered: int


class Proxy:
    """Owned by a loop in its own thread; `exchanges` grows there."""

    def __init__(self, bootstrap: str) -> None:
        self.exchanges: list[Exchange] = []
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        port = asyncio.run_coroutine_threadsafe(self._port(bootstrap), self._loop).result()
        self.bootstrap = f"127.0.0.1:{port}"

    async def _port(self, address: str) -> int:
        """The port here that leads to `address`."""
        if address not in self._ports:

            async def connected(reader: Any, writer: Any) -> None:
                await self._serve(address, reader, writer)

            server = await asyncio.start_server(connected, "127.0.0.1", 0)
            self._ports[address] = server.sockets[0].getsockname()[1]
        return self._ports[address]

    async def _serve(self, address: str, reader: Any, writer: Any) -> None:
        host, _, port = address.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        asked: deque[Asked] = deque()
        ways = [
            asyncio.ensure_future(self._requests(reader, up_writer, asked)),
            asyncio.ensure_future(self._answers(up_reader, writer, asked)),
        ]
        _, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in pending:
            one.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.close()
        up_writer.close()

    async def _requests(self, reader: Any, out: Any, asked: deque[Asked]) -> None:
        while True:
            size = await reader.readexactly(4)
            frame = await reader.readexactly(*struct.unpack(">i", size))
            key, version = struct.unpack_from(">hh", frame)
            asked.append((key, version, time.monotonic_ns()))
            out.write(size + frame)

    async def _answers(self, reader: Any, out: Any, asked: deque[Asked]) -> None:
        while True:
            size = await reader.readexactly(4)
            frame = await reader.readexactly(*struct.unpack(">i", size))
            key, version, at = asked.popleft()
            self.exchanges.append(Exchange(api(key).name, version, at, time.monotonic_ns()))
            if key in (METADATA, FIND_COORDINATOR):
                out.write(await self._readdressed(key, version, frame))
            else:
                out.write(size + frame)

    async def _readdressed(self, key: int, version: int, frame: bytes) -> bytes:
        correlation_id, told = decode_response(api(key).request, version, memoryview(frame))
        nodes = [*getattr(told, "brokers", []), *getattr(told, "coordinators", [])]
        if key == FIND_COORDINATOR and version < 4:
            nodes = [told]
        for node in nodes:
            if node.port > 0:
                node.port = await self._port(f"{node.host}:{node.port}")
                node.host = "127.0.0.1"
        parts = encode_response(told, version, correlation_id)
        return b"".join(bytes(one) for one in parts if not isinstance(one, FileRange))

    def between(self, begin: int, end: int) -> list[Exchange]:
        """The requests that were asked in [begin, end), in that order."""
        return sorted(
            (one for one in list(self.exchanges) if begin <= one.asked < end),
            key=lambda one: one.asked,
        )


def covered_ms(exchanges: Iterable[Exchange], begin: int, end: int) -> float:
    """How long of [begin, end) at least one request was with the broker."""
    total, upto = 0, begin
    for one in sorted(exchanges, key=lambda each: each.asked):
        first, last = max(one.asked, upto), min(one.answered, end)
        if last > first:
            total += last - first
            upto = last
    return total / 1e6
