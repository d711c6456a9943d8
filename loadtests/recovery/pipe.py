"""A connection on which requests do not wait for one another."""
from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Any

from fastbroker.protocol.header import decode_response, encode_request

RECEIVE_BYTES = 1 << 20


class Pipe:
    """Owned by one event loop. Answers come in the order of the requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._task = asyncio.ensure_future(self._receive())

    @staticmethod
    async def open(port: int) -> Pipe:
        """Raises OSError."""
        return Pipe(*await asyncio.open_connection("127.0.0.1", port, limit=RECEIVE_BYTES))

    @staticmethod
    async def over(connected: socket.socket) -> Pipe:
        """A pipe over a connection that is made."""
        return Pipe(*await asyncio.open_connection(sock=connected, limit=RECEIVE_BYTES))

    def send(self, frame: bytes) -> asyncio.Future[bytes]:
        """The answer's frame, later; ConnectionError when the connection ends before."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._task.done() or self._writer.is_closing():
            answer.set_exception(ConnectionResetError("closed before"))
            return answer
        self._waiting.append(answer)
        self._writer.write(frame)
        return answer

    async def call(self, request: Any, version: int) -> Any:
        """The response to a request."""
        answer = await self.send(frame(request, version))
        return decode_response(type(request), version, memoryview(answer))[1]

    async def _receive(self) -> None:
        try:
            while True:
                (size,) = struct.unpack(">i", await self._reader.readexactly(4))
                answer = await self._reader.readexactly(size)
                waiting = self._waiting.popleft()
                if not waiting.cancelled():
                    waiting.set_result(answer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.close()
            while self._waiting:
                waiting = self._waiting.popleft()
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError("the broker closed the connection"))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def frame(request: Any, version: int) -> bytes:
    """The bytes of a request."""
    return b"".join(encode_request(request, version, 1, "loadtests"))  # type: ignore[arg-type]
