"""Our bytes decoded by kafka-python's classes, and theirs by us: every version that both have.

A second witness beside kio, written by other hands, and with its own copy of Apache's definitions.
"""
from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from fastbroker._c.codec import Kind, decode, encode
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.header import API_VERSIONS
from fastbroker.protocol.schema import Field, Struct, is_in, plan
from tests.protocol.random_messages import Case, Maker, api_cases

MESSAGES_A_CASE = 4
OPERATIONS = "authorized_operations"
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of how it reads its own definitions
    MODULES = [
        import_module(f"kafka.protocol.{name}")
        for name in ("admin", "consumer", "metadata", "producer", "sasl")
    ]
    API_MESSAGE = import_module("kafka.protocol.api_message").ApiMessage
THEIRS = {
    name: found
    for module in MODULES
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, API_MESSAGE)
}


def shared_cases(key: int) -> Iterator[Case]:
    kind = api(key)
    for case in api_cases():
        if case.cls in (kind.request, kind.response):
            theirs = THEIRS.get(case.cls.__name__)
            if theirs is not None and case.version <= theirs.max_version:
                yield case


def no_error(name: str, field: Field, chance: random.Random) -> Any:
    """They read an ApiVersions response with an error as version 0, whatever was asked."""
    return 0 if name == "error_code" else NotImplemented


KEYS = [key for key in NAMES if next(shared_cases(key), None) is not None]


def differences(ours: Any, theirs: Any, version: int, path: str) -> list[str]:
    """What differs between two decoded messages; empty when nothing does."""
    out = []
    for name, field in ours.FIELDS.items():
        if is_in(version, field.on_wire) and not field.is_private:
            our_value, here = getattr(ours, name), f"{path}.{name}"
            their_name = name if hasattr(theirs, name) else OPERATIONS
            their_value = getattr(theirs, their_name)
            if their_name == OPERATIONS:
                their_value = bits(their_value)
            out += compare(our_value, their_value, field, version, here)
    return out


def bits(operations: set[int] | None) -> int:
    """They hold a bit field as a set of bits, and None for the one that means unknown."""
    unsigned = sum(1 << bit for bit in operations) if operations is not None else 1 << 31
    return unsigned - (1 << 32) if unsigned >> 31 else unsigned


def compare(ours: Any, theirs: Any, field: Field, version: int, path: str) -> list[str]:
    if field.kind == Kind.STRUCT:
        if ours is None and is_in(version, field.tagged) and theirs is not None:
            ours = field.item()  # left out: all defaults
        if ours is None or theirs is None:
            return [] if ours is theirs else [f"{path}: {ours} {theirs}"]
        return differences(ours, theirs, version, path)
    if field.kind == Kind.ARRAY and ours is not None and theirs is not None:
        if len(ours) != len(theirs):
            return [f"{path}: {len(ours)} and {len(theirs)} items"]
        pairs = zip(ours, theirs, strict=True)
        if isinstance(field.item, Field):
            return [d for a, b in pairs for d in compare(a, b, field.item, version, path)]
        return [d for a, b in pairs for d in differences(a, b, version, path)]
    if field.kind == Kind.UUID and theirs is not None:
        theirs = theirs.bytes
    elif field.kind == Kind.UUID and is_in(version, field.tagged):
        theirs = field.default
    return [] if ours == theirs else [f"{path}: ours {ours!r}, theirs {theirs!r}"]


@pytest.mark.parametrize("key", KEYS, ids=[NAMES[key] for key in KEYS])
def test_kafka_python_and_we_read_each_other(key: int) -> None:
    for case in shared_cases(key):
        theirs = THEIRS[case.cls.__name__]
        maker = Maker(
            random.Random(f"kafka-python {case}"),
            no_error if case.cls is api(API_VERSIONS).response else None,
        )
        for _ in range(MESSAGES_A_CASE):
            message: Struct = maker.message(case.cls, case.version)
            data = encode(plan(case.cls, case.version), message)
            decoded = theirs.decode(data, version=case.version)
            assert not differences(message, decoded, case.version, str(case))
            decoded._header = None  # their decoder leaves it unset without a header
            again = bytes(decoded.encode(version=case.version))
            assert decode(plan(case.cls, case.version), again) == (message, len(again)), case


def test_most_apis_are_shared() -> None:
    assert len(KEYS) >= 50
