"""The HTTP server: a few paths for whoever asks, however badly."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvloop

from fastbroker.gateway import http
from fastbroker.gateway.http import HttpServer, Response
from fastbroker.net.address import listen

DEADLINE_S = 10.0
BODY = b"0123456789" * 500_000  # more than a socket takes at once


class Serving:
    """A server on a free port of loopback; `ask` sends bytes, and reads what comes to the end."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.sock = listen(("127.0.0.1", 0))
        self.address = self.sock.getsockname()
        self.server = HttpServer(
            self.sock, {"/small": self.small, "/large": self.large, "/bug": self.bug}
        )
        self.run(self.server.start())

    async def small(self) -> Response:
        return Response(200, b"small\n")

    async def large(self) -> Response:
        return Response(503, BODY, "text/x-large")

    async def bug(self) -> Response:
        raise ZeroDivisionError("a test's")

    def run(self, work: Awaitable[bytes | None]) -> bytes | None:
        return self.loop.run_until_complete(asyncio.wait_for(work, DEADLINE_S))

    def ask(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in small letters, and body."""

        async def exchange() -> bytes:
            reader, writer = await asyncio.open_connection(*self.address)
            try:
                writer.write(sent)
                return await reader.read()
            finally:
                writer.transport.abort()

        found = self.run(exchange())
        assert found is not None
        head, _, body = found.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split(" ")[1]), headers, body

    def until(self, condition: Callable[[], object]) -> None:
        async def wait() -> None:
            while not condition():
                await asyncio.sleep(0.001)

        self.run(wait())

    def close(self) -> None:
        self.server.close()
        self.until(lambda: self.server.open_connections == 0)
        self.sock.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


@pytest.fixture
def serving() -> Iterator[Serving]:
    one = Serving()
    yield one
    one.close()


def get(path: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: here\r\n{more}\r\n".encode()


def test_a_path_is_answered_and_the_connection_ends(serving: Serving) -> None:
    status, headers, body = serving.ask(get("/small"))
    assert (status, body) == (200, b"small\n")
    assert headers["content-length"] == "6"
    assert headers["connection"] == "close"
    assert headers["content-type"] == "text/plain; charset=utf-8"


def test_a_query_is_not_looked_at(serving: Serving) -> None:
    assert serving.ask(get("/small?a=b&c"))[0] == 200


def test_a_large_answer_comes_whole(serving: Serving) -> None:
    status, headers, body = serving.ask(get("/large"))
    assert (status, headers["content-type"]) == (503, "text/x-large")
    assert body == BODY


def test_head_has_no_body(serving: Serving) -> None:
    status, headers, body = serving.ask(get("/large", "HEAD"))
    assert (status, headers["content-length"], body) == (503, str(len(BODY)), b"")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (get("/nothing"), 404),
        (get("/small", "POST", "Content-Length: 5\r\n"), 405),
        (get("/small", "DELETE"), 405),
        (b"GET /small\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /small SPDY/9\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 404),
        (get("/bug"), 500),
        (get("/small", more="X: " + "y" * http.HEAD_MAX_BYTES + "\r\n"), 431),
        (b"x" * (2 * http.HEAD_MAX_BYTES), 431),
    ],
)
def test_what_is_wrong_is_answered_with_its_status(
    serving: Serving, sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert serving.ask(sent)[0] == status
    assert serving.ask(get("/small"))[0] == 200


def test_who_says_nothing_is_let_go(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_WITHIN_S", 0.05)
    with socket.create_connection(serving.address) as silent:
        silent.sendall(b"GET /small HT")
        serving.until(lambda: serving.server.open_connections == 1)
        serving.until(lambda: serving.server.open_connections == 0)


def test_who_does_not_read_is_let_go(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SENT_WITHIN_S", 0.05)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(serving.address)
        slow.sendall(get("/large"))
        serving.until(lambda: serving.server.open_connections == 1)
        serving.until(lambda: serving.server.open_connections == 0)


def test_connections_are_bounded(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 2)
    held = [socket.create_connection(serving.address) for _ in range(2)]
    serving.until(lambda: serving.server.open_connections == 2)
    with pytest.raises((IndexError, OSError)):
        serving.ask(get("/small"))  # closed without a word
    for one in held:
        one.close()
    serving.until(lambda: serving.server.open_connections == 0)
    assert serving.ask(get("/small"))[0] == 200
