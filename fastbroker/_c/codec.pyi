from enum import IntEnum
from typing import Any, ClassVar

from fastbroker._c.buffer import FileRange

class Kind(IntEnum):
    BOOL = 0
    I8 = 1
    I16 = 2
    I32 = 3
    I64 = 4
    U16 = 5
    U32 = 6
    F64 = 7
    UUID = 8
    STRING = 9
    BYTES = 10
    STRUCT = 11
    ARRAY = 12

class Malformed(ValueError): ...

class Field:
    name: str
    kind: int
    nullable: bool
    compact: bool
    plan: Plan
    item: Field
    default: Any
    min_bytes: int
    is_error: bool

class Plan:
    cls: type
    fields: tuple[Field, ...]
    tagged: tuple[tuple[int, Field], ...]
    by_tag: dict[int, Field]
    flexible: bool
    absent: tuple[tuple[str, Any], ...]
    min_bytes: int
    errors: dict[int, int] | None

class Message:
    DEFAULTS: ClassVar[dict[str, Any]]
    def __init__(self, **values: Any) -> None: ...

def encode(plan: Plan, obj: Any, head: bytes = b"") -> bytes: ...
def encode_frame(plan: Plan, obj: Any, head: bytes) -> list[bytes | memoryview | FileRange]: ...
def decode(
    plan: Plan, data: Any, offset: int = 0, items_max: int = ..., string_max: int = ...
) -> tuple[Any, int]: ...
def decode_values(body: Any, count: int, plans: Any) -> list[Any]: ...
