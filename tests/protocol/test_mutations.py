"""Damaged bytes are refused with an exception of ours, or read as another message: nothing else.

Seeded, so a failure repeats. The codec is C: a crash here would be a worker's death.
"""
from __future__ import annotations

import itertools
import random
import struct

import pytest

from fastbroker._c.codec import Malformed, decode, encode
from fastbroker.errors import CorruptFrame
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.header import (
    REQUEST_ITEMS_MAX,
    REQUEST_STRING_MAX,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    parse_header,
)
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.schema import plan
from tests.protocol.random_messages import Maker, api_cases, record_cases

BODIES = 150_000
FRAMES = 30_000
INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFF)


def damage(data: bytes, chance: random.Random) -> bytes:
    """`data` with some bytes changed, cut, put in, or given as a length that is far too large."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        what = chance.randrange(6)
        if what == 0:
            del out[at:]
        elif what == 1:
            out[at:at] = chance.randbytes(chance.randint(1, 4))
        elif what == 2:
            del out[at : at + chance.randint(1, 8)]
        elif what == 3:
            out[at : at + 4] = chance.choice((b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x80"))
        elif what == 4 and at < len(out):
            out[at] = chance.choice(INTERESTING)
        elif at < len(out):
            out[at] ^= 1 << chance.randrange(8)
    return bytes(out)


def test_damaged_bodies_are_malformed_or_another_message() -> None:
    cases = list(itertools.chain(api_cases(), record_cases()))
    chance = random.Random(2024)
    refused = 0
    for case in cases:
        its_plan = plan(case.cls, case.version)
        data = encode(its_plan, Maker(chance).message(case.cls, case.version))
        for _ in range(BODIES // len(cases)):
            try:
                message, end = decode(its_plan, damaged := damage(data, chance))
            except Malformed:
                refused += 1
            else:
                assert end <= len(damaged), case
                # What was read can be written: nothing of it lies outside its field's range.
                encode(its_plan, message)
    assert refused > BODIES // 4


def test_damaged_frames_are_corrupt_or_another_message() -> None:
    chance = random.Random(2025)
    refused = 0
    for _ in range(FRAMES):
        kind = api(chance.choice(tuple(NAMES)))
        version = chance.randint(kind.first, kind.last)
        maker = Maker(chance)
        request = maker.message(kind.request, version)
        response = maker.message(kind.response, version)
        frame = b"".join(map(bytes, encode_request(request, version, 1, "client")))[4:]
        answer = b"".join(map(bytes, encode_response(response, version, 1)))[4:]
        try:
            header, offset = parse_header(memoryview(damaged := damage(frame, chance)))
            if header.api_key == kind.key and header.api_version == version:
                decode_request(header, memoryview(damaged), offset)
            decode_response(kind.request, version, memoryview(damage(answer, chance)))
        except CorruptFrame:
            refused += 1
    assert refused > FRAMES // 4


def test_a_request_of_more_items_than_are_sane_is_refused() -> None:
    def frame(count: int) -> memoryview:
        topics = [MetadataRequest.MetadataRequestTopic(name="")] * count
        return memoryview(
            b"".join(map(bytes, encode_request(MetadataRequest(topics=topics), 4, 1, "c")))[4:]
        )

    good = frame(REQUEST_ITEMS_MAX)
    header, offset = parse_header(good)
    assert len(decode_request(header, good, offset).topics) == REQUEST_ITEMS_MAX
    with pytest.raises(CorruptFrame, match="more array items than one message may have"):
        decode_request(header, frame(REQUEST_ITEMS_MAX + 1), offset)


def test_a_string_that_fits_no_record_is_refused() -> None:
    """In flexible versions, whose lengths would allow it; Kafka refuses it, too."""

    def frame(name: str) -> memoryview:
        request = FindCoordinatorRequest(coordinator_keys=[name])
        return memoryview(b"".join(map(bytes, encode_request(request, 4, 1, "c")))[4:])

    longest = "x" * REQUEST_STRING_MAX
    header, offset = parse_header(frame(longest))
    assert decode_request(header, frame(longest), offset).coordinator_keys == [longest]
    with pytest.raises(CorruptFrame, match="is a string of 32768 bytes, 32767 are allowed"):
        decode_request(header, frame(longest + "x"), offset)


@pytest.mark.parametrize("byte", [b"x", b"\xff"])
def test_a_client_id_fits_where_it_is_put(byte: bytes) -> None:
    name = byte * REQUEST_STRING_MAX
    frame = struct.pack(">hhih", 10, 3, 1, len(name)) + name + b"\0"
    client_id = parse_header(memoryview(frame))[0].client_id
    assert client_id is not None
    assert 0 < len(client_id.encode()) <= REQUEST_STRING_MAX
