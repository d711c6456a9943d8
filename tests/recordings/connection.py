"""A plain blocking connection: frames out, frames in, decoded by the order of what was sent."""
from __future__ import annotations

import collections
import socket
import struct
from typing import Any

from fastbroker._c.codec import Malformed, decode
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.schema import Struct, plan

CONNECT_TIMEOUT_S = 5.0
FRAME_LIMIT = 64 << 20


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Silent(Exception):
    """No answer in time."""


class Connection:
    """One client connection. Not for more than one thread."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._next_id = 0
        # What each answer that is due will be: (class of request, version), or one of raw bytes.
        self._due: collections.deque[tuple[type[Struct] | None, type[Struct] | None, int]] = (
            collections.deque()
        )

    def close(self) -> None:
        self._socket.close()

    def send(self, request: Struct, version: int, *, client_id: str | None, answered: bool) -> None:
        """Send a request; `answered`: an answer to it will come."""
        self._next_id += 1
        parts = encode_request(request, version, self._next_id, client_id)
        if answered:
            self._due.append((type(request), None, version))
        self._write(b"".join(bytes(part) for part in parts))

    def send_raw(self, frame: bytes, answer: type[Struct] | None, version: int) -> None:
        """Send `frame` behind its size; its answer, header v0, is read as `answer`."""
        self._due.append((None, answer, version))
        self._write(struct.pack(">i", len(frame)) + frame)

    def receive(self, patience_s: float) -> tuple[Any, int]:
        """The next answer that is due, and its version. Raises Closed, Silent."""
        self._socket.settimeout(patience_s)
        request, answer, version = self._due.popleft()
        frame = memoryview(self._read_frame())
        if request is not None:
            return decode_response(request, version, frame)[1], version
        if answer is None:
            return bytes(frame), version
        try:
            return decode(plan(answer, version), frame, 4)[0], version
        except Malformed as error:
            return f"not a {answer.__name__} v{version}: {error}", version

    def is_open(self) -> bool:
        """Whether the broker has left the connection open; nothing may be due."""
        self._socket.settimeout(0.3)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return True
        except OSError:
            return False

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def _read_frame(self) -> bytes:
        (size,) = struct.unpack(">i", self._read(4))
        assert 0 <= size <= FRAME_LIMIT, f"a frame of {size} bytes"
        return self._read(size)

    def _read(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            try:
                data = self._socket.recv(count - len(out))
            except TimeoutError:
                raise Silent from None
            except ConnectionResetError:
                raise Closed from None
            if not data:
                raise Closed
            out += data
        return bytes(out)
