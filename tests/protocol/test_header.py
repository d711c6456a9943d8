"""Frames of requests and responses."""
from __future__ import annotations

import struct

import pytest

from fastbroker._c.codec import Kind
from fastbroker.errors import CorruptFrame
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.header import (
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    parse_header,
)
from fastbroker.protocol.schema import NEVER, Struct


def joined(parts: list) -> memoryview:
    data = b"".join(bytes(part) for part in parts)
    assert struct.unpack_from(">i", data)[0] == len(data) - 4
    return memoryview(data)[4:]


def empty(cls: type[Struct]) -> Struct:
    """A message of defaults; a struct that may not be null is one of defaults, too."""
    needed = {
        name: empty(field.item)
        for name, field in cls.FIELDS.items()
        if field.kind == Kind.STRUCT and field.nullable == NEVER and field.tagged == NEVER
    }
    return cls(**needed)


@pytest.mark.parametrize("key", NAMES)
def test_default_requests_and_responses_of_every_version_survive(key: int) -> None:
    kind = api(key)
    for version in range(kind.first, kind.last + 1):
        frame = joined(encode_request(empty(kind.request), version, 7, "client"))
        header, offset = parse_header(frame)
        assert header == (key, version, 7, "client")
        request = decode_request(header, frame, offset)
        assert joined(encode_request(request, version, 7, "client")) == frame
        answer = joined(encode_response(kind.response(), version, 7))
        correlation_id, response = decode_response(kind.request, version, answer)
        assert correlation_id == 7
        assert joined(encode_response(response, version, 7)) == answer


def test_an_api_versions_response_has_no_tagged_fields_in_its_header() -> None:
    kind = api(18)
    frame = joined(encode_response(kind.response(error_code=35), 3, 1))
    assert bytes(frame[:6]) == b"\0\0\0\1\0\x23"


def test_a_client_id_that_is_no_text_is_read_as_far_as_it_goes() -> None:
    header, _ = parse_header(memoryview(b"\0\3\0\0\0\0\0\1\0\2a\xff"))
    assert header.client_id == "a\ufffd"


@pytest.mark.parametrize(
    "frame",
    [b"", b"\0" * 9, b"\0\0\0\3\0\0\0\1\0\5ab", b"\0\0\0\3\0\0\0\1\xff\xfe"],
)
def test_a_broken_header_is_a_corrupt_frame(frame: bytes) -> None:
    with pytest.raises(CorruptFrame):
        parse_header(memoryview(frame))
