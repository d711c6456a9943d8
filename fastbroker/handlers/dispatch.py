"""A frame in, an answer out: the way of every request of a client."""
from __future__ import annotations

import logging
from typing import Any

from fastbroker._c.connection import Connection
from fastbroker.errors import CloseConnection, UnsupportedVersion
from fastbroker.handlers.context import Broker, RequestContext
from fastbroker.handlers.registry import Served
from fastbroker.handlers.served import SERVED
from fastbroker.model import Deferred
from fastbroker.protocol.api import NAMES
from fastbroker.protocol.header import (
    API_VERSIONS,
    RequestHeader,
    decode_request,
    encode_response,
    parse_header,
)
from fastbroker.protocol.messages.api_versions import ApiVersionsResponse

log = logging.getLogger(__name__)

COMPLAINTS_MAX = 1000  # different (client, API, version) that are remembered for the log


class Origin:
    """What is the same for all requests of one connection."""

    __slots__ = ("client_host", "listener", "local")

    def __init__(self, connection: Connection, listener: str) -> None:
        self.listener = listener
        self.local: tuple[str, int] = connection.local
        self.client_host = f"/{connection.peer[0]}"


class Dispatch:
    """Hands the frames of one listener's connections to the handlers."""

    def __init__(self, broker: Broker, listener: str) -> None:
        self.broker, self.listener = broker, listener
        self._complaints: dict[tuple[str, int, int], int] = {}

    def __call__(self, connection: Connection, frame: memoryview) -> bool:
        """Answer one frame, now or later; False: hold the connection until then.

        Raises CorruptFrame and CloseConnection, which close the connection.
        """
        header, offset = parse_header(frame)
        served = SERVED.get(header.api_key)
        version = header.api_version
        if served is None or not served.first <= version <= served.last:
            return self._unserved(connection, header)
        origin = connection.context
        if origin is None:
            origin = connection.context = Origin(connection, self.listener)
        ctx = RequestContext(
            self.broker, header.api_key, version, header.client_id, origin.client_host,
            origin.listener, origin.local, connection,
        )  # fmt: skip
        request = decode_request(header, frame, offset)
        place = connection.reserve()
        answer = served.handler(ctx, request)
        if isinstance(answer, Deferred):
            if not answer.done:
                answer.then(_Later(connection, place, header, served))
                return served.two_stage
            answer = answer.result()
        if answer is None:
            connection.reply(place, None)
        else:
            connection.reply(place, encode_response(answer, version, header.correlation_id))
        return True

    def _unserved(self, connection: Connection, header: RequestHeader) -> bool:
        """As Kafka does it: an unknown version of ApiVersions is answered in version 0 (KIP-511),
        anything else closes the connection."""
        key, version = header.api_key, header.api_version
        name = NAMES.get(key, "unknown")
        software = " ".join(self.broker.clients.get(connection, ())) or "unknown software"
        if key == API_VERSIONS:
            self._complain(connection, header, f"{software}: ApiVersions v{version} is answered v0")
            served = SERVED[API_VERSIONS]
            own = ApiVersionsResponse.ApiVersion(
                api_key=API_VERSIONS, min_version=served.first, max_version=served.last
            )
            response = ApiVersionsResponse(error_code=UnsupportedVersion.code, api_keys=[own])
            place = connection.reserve()
            connection.reply(place, encode_response(response, 0, header.correlation_id))
            return True
        known = SERVED.get(key)
        what = f"versions {known.first} to {known.last} are" if known else "it is not"
        said = (
            f"{software}, client id {header.client_id!r}: {name} (key {key}) v{version} was asked"
            f" for, {what} served"
        )
        self._complain(connection, header, said)
        raise CloseConnection(said)

    def _complain(self, connection: Connection, header: RequestHeader, said: str) -> None:
        """One line for each client host, API and version; then at every doubling."""
        key = (connection.peer[0], header.api_key, header.api_version)
        if len(self._complaints) >= COMPLAINTS_MAX and key not in self._complaints:
            self._complaints.clear()
        count = self._complaints[key] = self._complaints.get(key, 0) + 1
        if count & (count - 1) == 0:
            log.warning("%s: %s (%d times)", connection.peer, said, count)


class _Later:
    """Sends an answer once it is there."""

    __slots__ = ("connection", "header", "place", "served")

    def __init__(
        self, connection: Connection, place: int, header: RequestHeader, served: Served
    ) -> None:
        self.connection, self.place, self.header, self.served = connection, place, header, served

    def __call__(self, answer: Deferred[Any]) -> None:
        connection, header = self.connection, self.header
        if connection.is_closed:
            return
        if answer.error is not None:
            log.error(
                "%s v%d from %s failed", NAMES[header.api_key], header.api_version,
                connection.peer, exc_info=answer.error,
            )  # fmt: skip
            connection.close(f"{NAMES[header.api_key]} could not be answered: {answer.error}")
            return
        parts = None
        if answer.value is not None:
            parts = encode_response(answer.value, header.api_version, header.correlation_id)
        connection.reply(self.place, parts)
        if not self.served.two_stage:
            connection.resume()
