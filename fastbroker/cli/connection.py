"""One blocking connection to a broker: requests out, responses in, in order."""
from __future__ import annotations

import socket
from collections import deque
from struct import Struct as Layout
from typing import Any

from fastbroker import __version__
from fastbroker._c.buffer import FileRange
from fastbroker.cli.output import Failure
from fastbroker.errors import CorruptFrame
from fastbroker.protocol.api import api
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.schema import Struct

CLIENT_ID = f"fastbroker-cli-{__version__}"
CONNECT_TIMEOUT_S = 5.0
RESPONSE_MAX_BYTES = 256 * 1024 * 1024
NEWEST = 32767  # no version is higher
_SIZE = Layout(">i")


class ConnectionLost(Failure):
    """The broker went away, or never was there; what was asked may or may not have happened."""


class NotServed(Failure):
    """The broker does not serve an API, or no version of it that we speak."""


class Connection:
    """A connection that speaks, of each API, the highest version that both sides know."""

    def __init__(self, host: str, port: int) -> None:
        """Connect and ask for the broker's versions. Raises ConnectionLost."""
        self.address = f"{host}:{port}"
        self._waiting: deque[tuple[type[Struct], int]] = deque()
        self._sent = 0
        self._versions: dict[int, tuple[int, int]] = {}
        try:
            self._socket = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            raise ConnectionLost(
                f"cannot reach a broker at {self.address}: {_reason(error)}"
            ) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Version 0 is understood, and answered, by every broker.
        self._send(ApiVersionsRequest(), 0)
        try:
            answer = self.receive(CONNECT_TIMEOUT_S)
        except ConnectionLost:
            self.close()
            raise ConnectionLost(
                f"what listens at {self.address} does not answer as a Kafka broker does"
            ) from None
        self._versions = {
            one.api_key: (one.min_version, one.max_version) for one in answer.api_keys
        }

    def call(
        self, request: Struct, *, timeout_s: float, at_least: int = 0, at_most: int = NEWEST
    ) -> Any:
        """The response to `request`. Raises ConnectionLost, or NotServed for an old broker."""
        self.send(request, at_least=at_least, at_most=at_most)
        return self.receive(timeout_s)

    def send(self, request: Struct, *, at_least: int = 0, at_most: int = NEWEST) -> None:
        """Send without waiting; `receive` gives the responses in the order of requests.

        at_least, at_most: versions that lack a field that matters here are not spoken.
        """
        kind = api(request.KEY)
        lowest, highest = self._versions.get(kind.key, (0, -1))
        version = min(highest, kind.last_stable, at_most)
        if version < max(lowest, kind.first, at_least):
            raise NotServed(
                f"the broker at {self.address} does not serve {kind.name} in a version that this "
                "command speaks; use a broker of Kafka 3.0 or newer"
            )
        self._send(request, version)

    def receive(self, timeout_s: float) -> Any:
        """The response to the oldest request without one. Raises ConnectionLost."""
        request, version = self._waiting.popleft()
        self._socket.settimeout(timeout_s)
        (size,) = _SIZE.unpack(self._read(4))
        if not 4 <= size <= RESPONSE_MAX_BYTES:
            raise self._lost(f"it sent a response of {size} bytes")
        try:
            _, response = decode_response(request, version, memoryview(self._read(size)))
        except CorruptFrame as error:
            raise self._lost(str(error)) from None
        return response

    @property
    def is_waiting(self) -> bool:
        """Whether a request has no response yet."""
        return bool(self._waiting)

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _send(self, request: Struct, version: int) -> None:
        self._sent += 1
        parts = encode_request(request, version, self._sent, CLIENT_ID)
        frame = b"".join(part for part in parts if not isinstance(part, FileRange))
        self._waiting.append((type(request), version))
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.sendall(frame)
        except OSError as error:
            raise self._lost(_reason(error)) from None

    def _read(self, size: int) -> bytearray:
        out = bytearray(size)
        view, at = memoryview(out), 0
        while at < size:
            try:
                got = self._socket.recv_into(view[at:])
            except OSError as error:
                raise self._lost(_reason(error)) from None
            if not got:
                raise self._lost("it closed the connection")
            at += got
        return out

    def _lost(self, why: str) -> ConnectionLost:
        return ConnectionLost(f"lost the connection to the broker at {self.address}: {why}")


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or str(error)).lower()
