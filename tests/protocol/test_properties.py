"""What holds for every message at every version, whatever its fields are."""
from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from fastbroker._c import codec
from fastbroker._c.codec import Kind, Malformed, Plan, decode, encode, encode_frame
from fastbroker.protocol.schema import plan
from tests.protocol.random_messages import Case, Maker, api_cases, record_cases

CASES = list(itertools.chain(api_cases(), record_cases()))
UNKNOWN_TAG = 10_000
MESSAGES_A_CASE = 6


def messages(case: Case) -> list[Any]:
    maker = Maker(random.Random(str(case)))
    return [maker.message(case.cls, case.version) for _ in range(MESSAGES_A_CASE)]


def test_a_message_survives_the_wire_and_has_one_encoding() -> None:
    for case in CASES:
        its_plan = plan(case.cls, case.version)
        for message in messages(case):
            data = encode(its_plan, message, b"head")
            decoded, end = decode(its_plan, data, 4)
            assert decoded == message, case
            assert end == len(data), case
            assert encode(its_plan, decoded, b"head") == data, case
            frame = b"".join(bytes(part) for part in encode_frame(its_plan, message, b"head"))
            assert frame == len(data).to_bytes(4, "big") + data, case


def test_bytes_behind_a_message_are_left_alone() -> None:
    for case in CASES:
        its_plan = plan(case.cls, case.version)
        for message in messages(case)[:2]:
            data = encode(its_plan, message)
            decoded, end = decode(its_plan, data + b"\xff" * 9)
            assert (decoded, end) == (message, len(data)), case


def test_every_proper_prefix_is_malformed() -> None:
    for case in CASES:
        its_plan = plan(case.cls, case.version)
        data = encode(its_plan, messages(case)[0])
        for end in range(min(len(data), 100)):
            with pytest.raises(Malformed):
                decode(its_plan, data[:end])


def with_unknown_tags(known: Plan, done: dict[int, Plan]) -> Plan:
    """A plan of a later version: each struct with a tagged field that `known` does not have."""
    found = done.get(id(known))
    if found is not None:
        return found
    out = done[id(known)] = Plan()
    out.cls, out.flexible, out.absent = known.cls, known.flexible, known.absent
    out.min_bytes, out.by_tag = known.min_bytes, known.by_tag
    out.fields = tuple(later(field, done) for field in known.fields)
    tagged = [(tag, later(field, done)) for tag, field in known.tagged]
    if known.flexible and known.fields:
        # The same value once more, under a tag that nobody knows; None would leave it out.
        again = later(known.fields[0], done)
        again.default = None
        tagged.append((UNKNOWN_TAG, again))
    out.tagged = tuple(tagged)
    return out


def later(field: codec.Field, done: dict[int, Plan]) -> codec.Field:
    out = codec.Field()
    out.name, out.kind, out.nullable = field.name, field.kind, field.nullable
    out.compact, out.default, out.min_bytes = field.compact, field.default, field.min_bytes
    if field.kind == Kind.STRUCT:
        out.plan = with_unknown_tags(field.plan, done)
    elif field.kind == Kind.ARRAY:
        out.item = later(field.item, done)
    return out


def test_unknown_tagged_fields_are_skipped_in_every_struct() -> None:
    tried = 0
    for case in CASES:
        its_plan = plan(case.cls, case.version)
        if not its_plan.flexible or not its_plan.fields:
            continue
        newer = with_unknown_tags(its_plan, {})
        for message in messages(case):
            if getattr(message, its_plan.fields[0].name) is None:
                continue
            data = encode(newer, message)
            assert len(data) > len(encode(its_plan, message)), case
            assert decode(its_plan, data) == (message, len(data)), case
            tried += 1
    assert tried > 1000
