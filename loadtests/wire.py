"""One request and its answer over a plain socket, with the broker's own message classes."""
from __future__ import annotations

import socket
import struct
from typing import Any

from fastbroker._c.buffer import FileRange
from fastbroker.protocol.header import decode_response, encode_request


def call(sock: socket.socket, request: Any, version: int) -> Any:
    """Send one request and wait for its answer."""
    for part in encode_request(request, version, 1, "loadtests"):
        assert not isinstance(part, FileRange), "requests come from memory"
        sock.sendall(part)
    frame = read_exactly(sock, struct.unpack(">i", read_exactly(sock, 4))[0])
    return decode_response(type(request), version, memoryview(frame))[1]


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes from a blocking socket."""
    out = bytearray()
    while len(out) < size:
        piece = sock.recv(size - len(out))
        if not piece:
            raise SystemExit("the broker closed the connection")
        out += piece
    return bytes(out)
