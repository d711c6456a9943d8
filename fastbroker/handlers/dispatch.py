"""A frame in, an answer out: the way of every request of a client."""
from __future__ import annotations

import logging
from typing import Any

from fastbroker._c.codec import Malformed, decode, encode_frame
from fastbroker._c.connection import Connection
from fastbroker._c.meter import meter_of
from fastbroker.errors import CloseConnection, CorruptFrame, UnsupportedVersion
from fastbroker.handlers.context import Broker, RequestContext
from fastbroker.handlers.registry import Served
from fastbroker.handlers.served import SERVED
from fastbroker.model import Deferred, Holding
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.header import (
    API_VERSIONS,
    REQUEST_ITEMS_MAX,
    REQUEST_STRING_MAX,
    Part,
    RequestHeader,
    encode_response,
    parse_header,
)
from fastbroker.protocol.messages.api_versions import ApiVersionsResponse
from fastbroker.protocol.schema import plan

log = logging.getLogger(__name__)

VERSION_END, CORRELATION_END = 4, 8  # of a request header's fixed fields
COMPLAINTS_MAX = 1000  # different (client, API, version) that are remembered for the log


class Route:
    """What is the same for all requests of one API and version on one connection.

    meter: counts them, when metrics are served.
    prefix: the bytes of the request header from the client id on, up to the body at `offset`.
    tags: what stands between correlation id and body of the response.
    """

    __slots__ = (
        "ctx", "meter", "offset", "prefix", "request_plan", "response_plan", "served", "tags",
    )  # fmt: skip

    def __init__(self, ctx: RequestContext, served: Served, prefix: bytes) -> None:
        kind = api(ctx.api_key)
        self.ctx, self.served, self.prefix = ctx, served, prefix
        self.offset = CORRELATION_END + len(prefix)
        self.request_plan = plan(kind.request, ctx.api_version)
        self.response_plan = plan(kind.response, ctx.api_version)
        self.meter = meter_of(ctx.api_key, ctx.api_version, is_flushed=served.two_stage)
        flexible = ctx.api_version >= kind.first_flexible and kind.key != API_VERSIONS
        self.tags = b"\0" if flexible else b""

    def encode(self, response: Any, correlation_id: bytes) -> list[Part]:
        """The parts of a response frame."""
        return encode_frame(self.response_plan, response, correlation_id + self.tags)


class Dispatch:
    """Hands the frames of one listener's connections to the handlers.

    A connection's context holds its routes by the first four bytes of a frame, API key and version:
    one for each API and version that is served and that the client has used.
    """

    def __init__(self, broker: Broker, listener: str) -> None:
        self.broker, self.listener = broker, listener
        self._complaints: dict[tuple[str, int, int], int] = {}

    def __call__(self, connection: Connection, frame: memoryview) -> bool:
        """Answer one frame, now or later; False: hold the connection until then.

        Raises CorruptFrame and CloseConnection, which close the connection.
        """
        head = bytes(frame[:CORRELATION_END])
        routes = connection.context
        if routes is None:
            routes = connection.context = {}
        route = routes.get(head[:VERSION_END])
        if route is None or frame[CORRELATION_END : route.offset] != route.prefix:
            route = self._route(connection, frame)
            if route is None:
                return True
            routes[head[:VERSION_END]] = route
        try:
            request, _ = decode(
                route.request_plan, frame, route.offset, REQUEST_ITEMS_MAX, REQUEST_STRING_MAX
            )
        except Malformed as error:
            ctx = route.ctx
            name = NAMES[ctx.api_key]
            raise CorruptFrame(f"{name} v{ctx.api_version}: {error}") from None
        correlation_id = head[VERSION_END:]
        place = connection.reserve(route.meter)
        answer = route.served.handler(route.ctx, request)
        if isinstance(answer, Deferred):
            if not answer.done:
                answer.then(_Later(connection, place, route, correlation_id))
                if isinstance(answer, Holding) and answer.holds:
                    answer.on_let_go(connection.resume)
                    return False
                return bool(route.served.two_stage)
            answer = answer.result()
        if answer is None:
            connection.reply(place, None)
        else:
            connection.reply(place, route.encode(answer, correlation_id))
        return True

    def _route(self, connection: Connection, frame: memoryview) -> Route | None:
        """The way of this frame and others like it; None: it is not served, and is answered."""
        header, offset = parse_header(frame)
        served = SERVED.get(header.api_key)
        if served is None or not served.first <= header.api_version <= served.last:
            self._unserved(connection, header)
            return None
        ctx = RequestContext(
            self.broker, header.api_key, header.api_version, header.client_id,
            f"/{connection.peer[0]}", self.listener, connection.local, connection,
        )  # fmt: skip
        return Route(ctx, served, bytes(frame[CORRELATION_END:offset]))

    def _unserved(self, connection: Connection, header: RequestHeader) -> None:
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
            return
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

    __slots__ = ("connection", "correlation_id", "place", "route")

    def __init__(
        self, connection: Connection, place: int, route: Route, correlation_id: bytes
    ) -> None:
        self.connection, self.place = connection, place
        self.route, self.correlation_id = route, correlation_id

    def __call__(self, answer: Deferred[Any]) -> None:
        connection, route = self.connection, self.route
        if connection.is_closed:
            return
        if isinstance(answer.error, CloseConnection):
            connection.close(str(answer.error), answer.error)
            return
        if answer.error is not None:
            name = NAMES[route.ctx.api_key]
            log.error(
                "%s v%d from %s failed", name, route.ctx.api_version, connection.peer,
                exc_info=answer.error,
            )  # fmt: skip
            connection.close(f"{name} could not be answered: {answer.error}")
            return
        parts = None
        if answer.value is not None:
            parts = route.encode(answer.value, self.correlation_id)
        connection.reply(self.place, parts)
        if not route.served.two_stage:
            connection.resume()
