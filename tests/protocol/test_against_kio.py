"""Our bytes decoded by kio, and kio's by us: every message, field by field.

kio's classes are generated from Apache's definitions, so this proves names and defaults, too. Its
types are narrower than the wire's (error codes that exist, times as datetimes), so such fields get
values that it can hold.
"""
from __future__ import annotations

import dataclasses
import datetime
import functools
import io
import random
import uuid
from pkgutil import resolve_name
from typing import Any

import pytest
from kio.schema.errors import ErrorCode
from kio.schema.index import schema_name_map
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from fastbroker._c.codec import Kind, decode, encode
from fastbroker.protocol.api import NAMES, api, snake_case
from fastbroker.protocol.schema import Field, Struct, is_in, plan
from tests.protocol.random_messages import Maker

MESSAGES_A_CASE = 4
ERROR_CODES = [code.value for code in ErrorCode]
EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)
MS = datetime.timedelta(milliseconds=1)


def kio_class(name: str, version: int, *, request: bool) -> Any:
    """kio's class for a message."""
    kind = EntityType.request if request else EntityType.response
    return resolve_name(schema_name_map[name][version][kind])


@functools.cache
def narrow_fields(cls: type) -> dict[str, str]:
    """Names of fields whose values are of a narrow type, in `cls` and the classes inside it."""
    out: dict[str, str] = {}
    for field in dataclasses.fields(cls):
        kind = field.metadata.get("kafka_type", "")
        if kind == "error_code" or kind.startswith(("timedelta", "datetime")):
            out[field.name] = out[f"{field.name}_ms"] = kind
        for inner in inner_classes(field.type):
            out.update(narrow_fields(inner))
    return out


def inner_classes(annotation: Any) -> list[type]:
    if dataclasses.is_dataclass(annotation):
        return [annotation]  # type: ignore[list-item]
    return [cls for part in getattr(annotation, "__args__", ()) for cls in inner_classes(part)]


def narrow_value(narrow: dict[str, str], name: str, field: Field, chance: random.Random) -> Any:
    kind = narrow.get(name)
    if kind is None or field.kind in (Kind.STRUCT, Kind.ARRAY):
        return NotImplemented
    if kind == "error_code":
        return chance.choice(ERROR_CODES)
    return chance.choice((0, 1, 30_000, 2**31 - 1, 1_700_000_000_123 % 2**31))


def plain(value: Any, kind: Kind) -> Any:
    """kio's value as the one that we hold."""
    if isinstance(value, ErrorCode):
        return value.value
    if isinstance(value, datetime.timedelta):
        return value // MS
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // MS
    if isinstance(value, uuid.UUID):
        return value.bytes
    if value is None and kind == Kind.UUID:
        return bytes(16)
    if value is None and kind == Kind.I64:
        return -1  # a time that is not known
    return value


def differences(ours: Struct, theirs: Any, version: int, path: str) -> list[str]:
    """What differs between two decoded messages; empty when nothing does."""
    names = {field.name for field in dataclasses.fields(theirs)}
    mine = {
        kio_name(name, names): name
        for name, field in ours.FIELDS.items()
        if is_in(version, field.on_wire) and not field.is_private
    }
    if names != set(mine):
        return [f"{path}: fields {sorted(names ^ set(mine))} on one side only"]
    out = []
    for name, our_name in mine.items():
        field, here = ours.FIELDS[our_name], f"{path}.{our_name}"
        out += compare(getattr(ours, our_name), getattr(theirs, name), field, version, here)
    return out


def kio_name(name: str, names: set[str]) -> str:
    """kio's times carry no unit in their name, and it evades Python's words."""
    for spelled in (name, name.removesuffix("_ms"), f"{name}_"):
        if spelled in names:
            return spelled
    return name


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
        item = field.item
        if not isinstance(item, Field):
            pairs = zip(ours, theirs, strict=True)
            return [d for a, b in pairs for d in differences(a, b, version, path)]
        theirs = [plain(one, item.kind) for one in theirs]
        ours = list(ours)
    else:
        theirs = plain(theirs, field.kind)
    return [] if ours == theirs else [f"{path}: ours {ours!r}, kio's {theirs!r}"]


@pytest.mark.parametrize("key", NAMES, ids=NAMES.values())
def test_kio_and_we_read_each_other(key: int) -> None:
    kind = api(key)
    for version in range(kind.first, kind.last + 1):
        for cls in (kind.request, kind.response):
            theirs = kio_class(snake_case(kind.name), version, request=cls is kind.request)
            case = f"{cls.__name__} v{version}"
            read, write = entity_reader(theirs), entity_writer(theirs)
            override = functools.partial(narrow_value, narrow_fields(theirs))
            maker = Maker(random.Random(f"kio {case}"), override)
            for _ in range(MESSAGES_A_CASE):
                message = maker.message(cls, version)
                data = encode(plan(cls, version), message)
                decoded, size = read(data, 0)
                assert size == len(data), case
                assert not differences(message, decoded, version, case)
                again = io.BytesIO()
                write(again, decoded)
                back, end = decode(plan(cls, version), again.getvalue())
                assert end == len(again.getvalue()), case
                assert back == message, case
