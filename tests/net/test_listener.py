"""Accepting, refusing, closing what is idle; addresses of both families."""
from __future__ import annotations

import asyncio
import logging
import pathlib
import socket
from collections.abc import Callable

import pytest

from fastbroker._c.connection import Connection, limit_receive_bytes
from fastbroker.log_rate import BURST
from fastbroker.net.address import AddressInUse, connect_unix, listen
from fastbroker.net.listener import Listener

DEADLINE_S = 10


def until(loop: asyncio.AbstractEventLoop, condition: Callable[[], object]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    loop.run_until_complete(asyncio.wait_for(wait(), DEADLINE_S))


def echo(connection: Connection, frame: memoryview) -> bool:
    connection.reply(connection.reserve(), [bytes(frame)])
    return True


def test_two_hundred_connections_are_served_and_closed(loop: asyncio.AbstractEventLoop) -> None:
    sock = listen(("127.0.0.1", 0))
    listener = Listener(loop, sock, name="PLAINTEXT", dispatch=echo, max_frame_bytes=1000)
    listener.start()
    address = sock.getsockname()
    clients = [socket.create_connection(address) for _ in range(200)]
    until(loop, lambda: len(listener.connections) == 200)
    assert {c.local for c in listener.connections} == {address}
    assert {c.peer for c in listener.connections} == {c.getsockname() for c in clients}
    clients[0].sendall(b"\0\0\0\2hi")
    clients[0].setblocking(False)
    got = loop.run_until_complete(
        asyncio.wait_for(loop.sock_recv(clients[0], 10), DEADLINE_S)
    )
    assert got == b"hi"
    for client in clients[:100]:
        client.close()
    until(loop, lambda: len(listener.connections) == 100)
    listener.close()
    assert not listener.connections
    for client in clients[100:]:
        client.close()


def test_one_connection_too_many_is_refused_with_a_log_line(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    sock = listen(("127.0.0.1", 0))
    listener = Listener(
        loop, sock, name="PLAINTEXT", dispatch=echo, max_frame_bytes=1000, max_connections=1
    )
    listener.start()
    first = socket.create_connection(sock.getsockname())
    until(loop, lambda: len(listener.connections) == 1)
    with caplog.at_level(logging.WARNING):
        second = socket.create_connection(sock.getsockname())
        until(loop, lambda: "refused a connection" in caplog.text)
    assert second.recv(1) == b""
    listener.close()
    first.close()
    second.close()


def test_idle_connections_are_closed_and_busy_ones_kept(loop: asyncio.AbstractEventLoop) -> None:
    sock = listen(("127.0.0.1", 0))
    listener = Listener(
        loop, sock, name="PLAINTEXT", dispatch=echo, max_frame_bytes=1000, idle_ms=200
    )
    listener.start()
    idle, busy = (socket.create_connection(sock.getsockname()) for _ in range(2))
    until(loop, lambda: len(listener.connections) == 2)

    def still_two_then_one() -> bool:
        busy.sendall(b"\0\0\0\0")
        return len(listener.connections) == 1

    until(loop, still_two_then_one)
    (left,) = listener.connections
    assert left.peer == busy.getsockname()
    listener.close()
    idle.close()
    busy.close()


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with listen(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"port {port} .* --port"):
            listen(("127.0.0.1", port))


def test_a_unix_socket_with_a_path_longer_than_the_kernels(
    loop: asyncio.AbstractEventLoop, tmp_path: pathlib.Path
) -> None:
    path = str(tmp_path / ("d" * 100) / "run" / "controller-1.sock")
    assert len(path) > 108
    listen(path).close()
    listener = Listener(loop, listen(path), name="unix", dispatch=echo, max_frame_bytes=1000)
    listener.start()
    client = connect_unix(path)
    until(loop, lambda: len(listener.connections) == 1)
    loop.run_until_complete(loop.sock_sendall(client, b"\0\0\0\3abc"))
    assert loop.run_until_complete(loop.sock_recv(client, 10)) == b"abc"
    client.close()
    until(loop, lambda: not listener.connections)
    listener.close()


def test_a_flood_of_bad_connections_writes_few_lines(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    sock = listen(("127.0.0.1", 0))
    listener = Listener(loop, sock, name="PLAINTEXT", dispatch=echo, max_frame_bytes=1000)
    listener.start()

    def send_bad() -> None:
        client = socket.create_connection(sock.getsockname())
        client.sendall(b"\x7f\xff\xff\xff")
        until(loop, lambda: listener.connections)
        until(loop, lambda: not listener.connections)
        client.close()

    with caplog.at_level(logging.WARNING):
        for _ in range(300):
            send_bad()
        assert BURST <= len(caplog.records) <= BURST + DEADLINE_S
        assert "a frame of 2147483647 bytes was announced" in caplog.text
        loop.run_until_complete(asyncio.sleep(1.1))
        send_bad()
    assert "more of 127.0.0.1 were closed without a line" in caplog.text
    listener.close()


def test_while_memory_is_short_slow_large_frames_make_way(
    loop: asyncio.AbstractEventLoop,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastbroker.net.listener.RELIEF_EVERY_S", 0.05)
    monkeypatch.setattr("fastbroker.net.listener.SLOW_FRAME_S", 0.3)
    sock = listen(("127.0.0.1", 0))
    listener = Listener(loop, sock, name="PLAINTEXT", dispatch=echo, max_frame_bytes=10 << 20)
    listener.start()
    limit_receive_bytes(2 << 20)
    try:
        slow = [socket.create_connection(sock.getsockname()) for _ in range(3)]
        for client in slow:
            client.sendall((8 << 20).to_bytes(4, "big") + bytes(100_000))
        until(loop, lambda: len(listener.connections) == 3)
        loop.run_until_complete(asyncio.sleep(0.2))  # they are slow already when the good one comes
        good = socket.create_connection(sock.getsockname())
        good.setblocking(False)
        # A small frame is served at once; one as large as the slow ones, once they have gone.
        for size in (10, 3 << 20):
            begun = loop.time()
            data = bytes(size)
            loop.run_until_complete(loop.sock_sendall(good, size.to_bytes(4, "big") + data))
            got = 0
            while got < size:
                piece = loop.run_until_complete(
                    asyncio.wait_for(loop.sock_recv(good, 1 << 20), DEADLINE_S)
                )
                assert piece, "the good connection is closed"
                got += len(piece)
            assert size > 10 or loop.time() - begun < 0.25
        assert caplog.text.count("not complete after") == 3
        assert any(connection.peer == good.getsockname() for connection in listener.connections)
    finally:
        limit_receive_bytes(1 << 30)
        listener.close()
        for client in (*slow, good):
            client.close()


def test_who_sends_thousands_of_frames_at_once_does_not_keep_others_waiting(
    loop: asyncio.AbstractEventLoop,
) -> None:
    turns: list[int] = []

    def note(connection: Connection, frame: memoryview) -> bool:
        turns.append(int(connection.peer == calm.getsockname()))
        return echo(connection, frame)

    sock = listen(("127.0.0.1", 0))
    listener = Listener(loop, sock, name="PLAINTEXT", dispatch=note, max_frame_bytes=1000)
    listener.start()
    calm, greedy = (socket.create_connection(sock.getsockname()) for _ in range(2))
    greedy.sendall(b"\0\0\0\1x" * 10_000)
    for _ in range(5):
        calm.sendall(b"\0\0\0\1x")
    until(loop, lambda: len(turns) == 10_005)
    assert max(n for n, is_calm in enumerate(turns) if is_calm) < 1000
    received = 0
    while received < 10_000:
        received += len(greedy.recv(1 << 20))
        loop.run_until_complete(asyncio.sleep(0))
    listener.close()
    calm.close()
    greedy.close()


def test_a_drained_listener_keeps_who_waits_for_an_answer(loop: asyncio.AbstractEventLoop) -> None:
    places: list[tuple[Connection, int]] = []

    def later(connection: Connection, frame: memoryview) -> bool:
        places.append((connection, connection.reserve()))
        return True

    sock = listen(("127.0.0.1", 0))
    address = sock.getsockname()
    listener = Listener(loop, sock, name="PLAINTEXT", dispatch=later, max_frame_bytes=1000)
    listener.start()
    quiet, waiting = (socket.create_connection(address) for _ in range(2))
    waiting.sendall(b"\0\0\0\2hi")
    until(loop, lambda: places and len(listener.connections) == 2)
    assert listener.drain() == 1
    assert quiet.recv(1) == b"", "it waited for nothing"
    connection, place = places[0]
    connection.reply(place, [b"hi"])
    until(loop, lambda: not connection.unsent_bytes)
    assert listener.drain() == 0
    assert waiting.recv(10) == b"hi"
    listener.close()
    quiet.close()
    waiting.close()
