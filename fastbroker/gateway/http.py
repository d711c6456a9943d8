"""A small HTTP/1.1 server: GET and HEAD of a few paths, one request a connection.

Whatever comes is bounded: the head of a request in bytes and in time, the answer in time, and the
connections in number. A body is not read. Every answer ends its connection.
"""
from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

log = logging.getLogger(__name__)

HEAD_MAX_BYTES = 8192
HEAD_WITHIN_S = 5.0
SENT_WITHIN_S = 10.0
CONNECTIONS_MAX = 32


class Response(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Handler = Callable[[], Awaitable[Response]]


class HttpServer:
    """handlers: by path. Owned by the gateway's loop."""

    def __init__(self, sock: socket.socket, handlers: Mapping[str, Handler]) -> None:
        self.sock, self._handlers = sock, handlers
        self.open_connections = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to accept."""
        self._server = await asyncio.start_server(
            self._serve, sock=self.sock, limit=HEAD_MAX_BYTES
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            if self.open_connections > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(HEAD_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
            method, response = await self._respond(head)
            async with asyncio.timeout(SENT_WITHIN_S):
                await _send(writer, response, has_body=method != "HEAD")
        except asyncio.LimitOverrunError:
            too_large = _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            writer.write(_head(too_large) + too_large.body)
        except (OSError, EOFError, TimeoutError):
            writer.transport.abort()  # it is gone, or too slow
        finally:
            self.open_connections -= 1
            writer.close()

    async def _respond(self, head: bytes) -> tuple[str, Response]:
        """The method and the answer to it."""
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return "", _plain(HTTPStatus.BAD_REQUEST)
        method = words[0].decode("latin-1")
        if method not in ("GET", "HEAD"):
            return method, _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        handler = self._handlers.get(words[1].split(b"?", 1)[0].decode("latin-1"))
        if handler is None:
            return method, _plain(HTTPStatus.NOT_FOUND)
        try:
            return method, await handler()
        except Exception:
            log.exception("%s could not be answered", words[1][:100])
            return method, _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _plain(status: HTTPStatus) -> Response:
    return Response(status, f"{status.value} {status.phrase}\n".encode())


def _head(response: Response) -> bytes:
    status = HTTPStatus(response.status)
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


async def _send(writer: asyncio.StreamWriter, response: Response, *, has_body: bool) -> None:
    writer.write(_head(response))
    if has_body:
        writer.write(response.body)
    writer.transport.set_write_buffer_limits(0)  # done when the socket has it all
    await writer.drain()
