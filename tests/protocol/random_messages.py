"""Messages with random fields, made from their schemas: the input of every test of this folder.

    for case in message_cases():
        message = Maker(random.Random(1)).message(case.cls, case.version)

A maker draws from every kind of value that a field may have at that version: nulls, empty and long
arrays and strings, the ends of number ranges, tagged fields left out.
"""
from __future__ import annotations

import random
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fastbroker._c.codec import Kind
from fastbroker.protocol import (
    consumer_protocol,
    group_records,
    metadata_records,
    principal,
    producer_snapshot,
    raft_records,
    remote_log_records,
    share_records,
    streams_records,
    txn_records,
)
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.schema import ALWAYS, Field, Struct, is_in

RECORD_MODULES = (
    consumer_protocol,
    group_records,
    metadata_records,
    principal,
    producer_snapshot,
    raft_records,
    remote_log_records,
    share_records,
    streams_records,
    txn_records,
)
ENDS = {
    Kind.I8: (-(2**7), 2**7 - 1),
    Kind.I16: (-(2**15), 2**15 - 1),
    Kind.I32: (-(2**31), 2**31 - 1),
    Kind.I64: (-(2**63), 2**63 - 1),
    Kind.U16: (0, 2**16 - 1),
    Kind.U32: (0, 2**32 - 1),
}
TEXTS = ("", "a", "topic-1", "ключ", "日本語", "\U0001f40d", "with space\n", "x" * 126, "y" * 300)
BLOBS = (b"", b"\0", b"value", bytes(range(256)), b"z" * 127)
LONGEST_ARRAY = 3
DEEPEST = 8

# Decides the value of a field by its name instead of the maker; NotImplemented: the maker's turn.
Override = Callable[[str, Field, random.Random], Any]


class Case(NamedTuple):
    """One message class at one of its versions."""

    cls: type[Struct]
    version: int
    module: types.ModuleType | None  # of a record; None for requests and responses

    def __str__(self) -> str:
        return f"{self.cls.__name__} v{self.version}"


def api_cases() -> Iterator[Case]:
    """Every request and response at every version, the unstable ones too."""
    for key in NAMES:
        kind = api(key)
        for version in range(kind.first, kind.last + 1):
            yield Case(kind.request, version, None)
            yield Case(kind.response, version, None)


def record_cases() -> Iterator[Case]:
    """Every record, and everything else that is declared like one, at every version."""
    for module in RECORD_MODULES:
        for cls in vars(module).values():
            if not (isinstance(cls, type) and issubclass(cls, Struct)):
                continue
            if cls.__module__ != module.__name__ or cls.VERSIONS == ALWAYS:
                continue  # imported, or a part of others
            for version in range(cls.VERSIONS[0], cls.VERSIONS[1] + 1):
                yield Case(cls, version, module)


class Maker:
    """Makes messages from one source of chance."""

    def __init__(self, chance: random.Random, override: Override | None = None) -> None:
        self.chance = chance
        self.override = override

    def message(self, cls: type[Struct], version: int, depth: int = 0) -> Any:
        """A message; a field that `version` does not carry keeps its default."""
        return cls(
            **{
                name: self.value(name, field, version, depth)
                for name, field in cls.FIELDS.items()
                if is_in(version, field.on_wire) and not field.is_private
            }
        )

    def value(self, name: str, field: Field, version: int, depth: int) -> Any:
        """A value for `field`."""
        chance = self.chance
        if is_in(version, field.tagged) and chance.random() < 0.4:
            return field.default
        if is_in(version, field.nullable) and chance.random() < 0.25:
            return None
        if self.override is not None:
            value = self.override(name, field, chance)
            if value is not NotImplemented:
                return value
        if field.kind == Kind.STRUCT:
            made = self.message(field.item, version, depth + 1)
            # Kafka leaves out a tagged struct that is all defaults, so it has no second encoding.
            return None if is_in(version, field.tagged) and made == field.item() else made
        if field.kind == Kind.ARRAY:
            count = chance.randint(0, LONGEST_ARRAY) if depth < DEEPEST else 0
            if isinstance(field.item, Field):
                return [self.value(name, field.item, version, depth + 1) for _ in range(count)]
            return [self.message(field.item, version, depth + 1) for _ in range(count)]
        if field.kind == Kind.BOOL:
            return chance.random() < 0.5
        if field.kind in ENDS:
            first, last = ENDS[field.kind]
            near = chance.choice((first, last, 0, 1, -1, 127, 128))
            return near if first <= near <= last and chance.random() < 0.5 else (
                chance.randint(first, last)
            )  # fmt: skip
        if field.kind == Kind.F64:
            return chance.choice((0.0, -1.5, 1e300, chance.random()))
        if field.kind == Kind.UUID:
            return chance.randbytes(16)
        if field.kind == Kind.STRING:
            return chance.choice(TEXTS)
        return chance.choice(BLOBS)
