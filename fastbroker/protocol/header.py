"""Frames of requests and responses: headers, and the choice of schema by key and version.

    request  := size:int32 key:int16 version:int16 correlation_id:int32 client_id:string? tags? body
    response := size:int32 correlation_id:int32 tags? body

`tags` (one byte, 0, from us) stands in headers of flexible versions: request header 2, response
header 1. The client id keeps its int16 length even there. ApiVersions responses always have header
0, so that a client can read them before it knows anything (KIP-511). What is called a frame here is
without its size.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Any, NamedTuple

from fastbroker._c.buffer import FileRange
from fastbroker._c.codec import Malformed, decode, encode_frame
from fastbroker.errors import CorruptFrame
from fastbroker.protocol.api import Api, api
from fastbroker.protocol.schema import Struct, plan

API_VERSIONS = 18
# Array items in one request, all arrays together: each costs microseconds, 100 MiB hold 50 million.
REQUEST_ITEMS_MAX = 250_000
# Bytes of a string in a request, as on Kafka: many of them have to fit an int16 length later, in an
# older version of a response or in a record. Also of the client id, which becomes a part of others.
REQUEST_STRING_MAX = 32_767
_FIXED = Layout(">hhi")
_CORRELATION = Layout(">i")
_SHORT = Layout(">h")

Part = bytes | memoryview | FileRange


class RequestHeader(NamedTuple):
    """What stands before every request."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None


def parse_header(frame: memoryview) -> tuple[RequestHeader, int]:
    """The header of a request frame and the offset of its body.

    An api key that Kafka does not have is read as a non-flexible header, so that the answer can
    name the client. Raises CorruptFrame.
    """
    if len(frame) < 10:
        raise CorruptFrame(f"a request of {len(frame)} bytes has no header")
    key, version, correlation_id = _FIXED.unpack_from(frame)
    (length,) = _SHORT.unpack_from(frame, 8)
    end = 10 + max(length, 0)
    if length < -1 or end > len(frame):
        raise CorruptFrame(f"a client id of {length} bytes in a request of {len(frame)}")
    # As on Kafka: a client of C may send what is no UTF-8.
    client_id = None if length < 0 else str(frame[10:end], "utf-8", "replace")
    if client_id is not None and len(client_id) > REQUEST_STRING_MAX // 3:
        client_id = client_id[: REQUEST_STRING_MAX // 3]  # what replaces a byte has three
    try:
        flexible = version >= api(key).first_flexible
    except KeyError:
        flexible = False
    if flexible:
        end = _skip_tags(frame, end)
    return RequestHeader(key, version, correlation_id, client_id), end


def decode_request(header: RequestHeader, frame: memoryview, offset: int) -> Any:
    """The request whose body begins at `offset`; bytes behind it are ignored, as Kafka does.

    The version must be one that exists. Raises CorruptFrame.
    """
    try:
        request, _ = decode(
            plan(api(header.api_key).request, header.api_version), frame, offset,
            REQUEST_ITEMS_MAX, REQUEST_STRING_MAX,
        )  # fmt: skip
    except Malformed as error:
        raise CorruptFrame(f"{api(header.api_key).name} v{header.api_version}: {error}") from None
    return request


def encode_response(response: Struct, api_version: int, correlation_id: int) -> list[Part]:
    """The parts of a response frame, the size first."""
    head = _CORRELATION.pack(correlation_id)
    kind = api(type(response).KEY)
    if api_version >= kind.first_flexible and kind.key != API_VERSIONS:
        head += b"\0"
    return encode_frame(plan(type(response), api_version), response, head)


def encode_request(
    request: Struct, api_version: int, correlation_id: int, client_id: str | None
) -> list[Part]:
    """The parts of a request frame, the size first."""
    kind = api(type(request).KEY)
    name = b"" if client_id is None else client_id.encode()
    head = (
        _FIXED.pack(kind.key, api_version, correlation_id)
        + _SHORT.pack(-1 if client_id is None else len(name))
        + name
    )
    if api_version >= kind.first_flexible:
        head += b"\0"
    return encode_frame(plan(type(request), api_version), request, head)


def decode_response(request: type[Struct], api_version: int, frame: memoryview) -> tuple[int, Any]:
    """(correlation id, response) of the frame that answers a request of this class.

    Raises CorruptFrame.
    """
    kind = api(request.KEY)
    if len(frame) < 4:
        raise CorruptFrame(f"a response of {len(frame)} bytes has no header")
    (correlation_id,) = _CORRELATION.unpack_from(frame)
    offset = 4
    if api_version >= kind.first_flexible and kind.key != API_VERSIONS:
        offset = _skip_tags(frame, offset)
    try:
        response, _ = decode(plan(_answering(kind, request), api_version), frame, offset)
    except Malformed as error:
        raise CorruptFrame(f"{kind.name} v{api_version} response: {error}") from None
    return correlation_id, response


def _answering(kind: Api, request: type[Struct]) -> type[Struct]:
    assert request is kind.request, f"{request.__name__} is not the request of {kind.name}"
    return kind.response


class _Tags(Struct, versions="0", flexible="0+"):
    """A section of tagged fields of which we know none."""


def _skip_tags(frame: memoryview, offset: int) -> int:
    if offset < len(frame) and frame[offset] == 0:
        return offset + 1
    try:
        _, end = decode(plan(_Tags, 0), frame, offset)
    except Malformed as error:
        raise CorruptFrame(f"the header's tagged fields: {error}") from None
    return end
