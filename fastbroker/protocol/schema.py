"""How messages are declared: one class is schema, container and documentation at once.

    class OffsetForLeaderEpochRequest(Struct, key=23, versions="2-4", flexible="4+"):
        class Topic(Struct):
            topic: str = string()
            ...
        replica_id: int = i32("3+", default=-2)
        topics: list[Topic] = array(Topic)

A version range is Apache's text: "3+", "0-12", "4". A field's first argument says which versions
carry it; elsewhere, and when a tagged field is left out, it has its default. Names are Apache's in
snake_case. The class is compiled once a version into a Plan, which the codec in cext/ walks;
nothing here touches bytes.
"""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform

from fastbroker._c import codec
from fastbroker._c.codec import Kind, Plan
from fastbroker.model import ZERO_UUID

Buffer = bytes | memoryview  # a bytes field: memoryview after decoding

# Fields of our own, which Kafka does not have: tagged, so that whoever does not know them skips
# them, and sent only to those who ask. A number that Kafka is not going to come to ("fb").
PRIVATE_TAG = 0x6662

NEVER = (1, 0)
ALWAYS = (0, 32767)
_KINDS = {kind: int(kind) for kind in Kind}
# The fewest bytes a value can take: a count of items is checked against them.
_FIXED_BYTES = {
    Kind.BOOL: 1, Kind.I8: 1, Kind.I16: 2, Kind.I32: 4, Kind.I64: 8,
    Kind.U16: 2, Kind.U32: 4, Kind.F64: 8, Kind.UUID: 16,
}  # fmt: skip
_ranges: dict[str, tuple[int, int]] = {"0+": ALWAYS, "none": NEVER}


def versions(text: str) -> tuple[int, int]:
    """Parse "3+" / "0-12" / "4" / "none" into an inclusive (first, last)."""
    found = _ranges.get(text)
    if found is None:
        first, dash, last = text.removesuffix("+").partition("-")
        end = int(last) if dash else 32767 if text.endswith("+") else int(first)
        found = _ranges[text] = (int(first), end)
    return found


class Field:
    """One field of a struct, in all versions."""

    __slots__ = ("default", "item", "kind", "nullable", "on_wire", "tag", "tagged")

    def __init__(
        self,
        kind: Kind,
        on_wire: str,
        default: Any,
        nullable: str = "none",
        tagged: str = "none",
        tag: int = -1,
        item: Any = None,
    ) -> None:
        self.kind, self.default, self.tag, self.item = kind, default, tag, item
        self.on_wire = versions(on_wire)
        self.nullable = versions(nullable)
        self.tagged = versions(tagged)

    @property
    def is_private(self) -> bool:
        """Whether it is ours alone."""
        return self.tag == PRIVATE_TAG


def _maker(kind: Kind, zero: Any) -> Any:
    def field(
        on_wire: str = "0+",
        *,
        default: Any = zero,
        nullable: str = "none",
        tagged: str = "none",
        tag: int = -1,
    ) -> Any:
        return Field(kind, on_wire, default, nullable, tagged, tag)

    return field


boolean = _maker(Kind.BOOL, False)
i8 = _maker(Kind.I8, 0)
i16 = _maker(Kind.I16, 0)
i32 = _maker(Kind.I32, 0)
i64 = _maker(Kind.I64, 0)
u16 = _maker(Kind.U16, 0)
u32 = _maker(Kind.U32, 0)
f64 = _maker(Kind.F64, 0.0)
uuid = _maker(Kind.UUID, ZERO_UUID)
string = _maker(Kind.STRING, "")
blob = _maker(Kind.BYTES, b"")  # any bytes
records = _maker(Kind.BYTES, None)  # record batches


def struct(
    item: type[Struct],
    on_wire: str = "0+",
    *,
    nullable: str = "none",
    tagged: str = "none",
    tag: int = -1,
) -> Any:
    """A nested struct; its default is None, which a tagged one is left out for."""
    return Field(Kind.STRUCT, on_wire, None, nullable, tagged, tag, item)


def array(
    item: type[Struct] | Field,
    on_wire: str = "0+",
    *,
    default: Any = (),
    nullable: str = "none",
    tagged: str = "none",
    tag: int = -1,
) -> Any:
    """A list of structs, or of plain fields: `array(i32())`. Decodes to a list."""
    return Field(Kind.ARRAY, on_wire, default, nullable, tagged, tag, item)


# Without field_specifiers every field counts as one with a default, which is what it is.
@dataclass_transform(kw_only_default=True)
class StructType(type):
    """Turns Field assignments into slots and a table of defaults."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **header: Any
    ) -> StructType:
        fields = {k: v for k, v in body.items() if isinstance(v, Field)}
        for field in fields:
            del body[field]
        body["__slots__"] = tuple(fields)
        body["FIELDS"] = fields
        body["DEFAULTS"] = {k: f.default for k, f in fields.items()}
        body["PLANS"] = {}
        for word, value in header.items():
            body[word.upper()] = versions(value) if word != "key" else value
        return super().__new__(mcs, name, bases, body)

    def __init__(
        cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **header: Any
    ) -> None:
        super().__init__(name, bases, body)


class Struct(codec.Message, metaclass=StructType):
    """Base of every message and nested struct; compared and printed by its fields.

    VERSIONS: inclusive range that exists; FLEXIBLE: the part of it with compact lengths and tagged
    fields; UNSTABLE: the part that Kafka does not offer unless told to. In capitals, so that no
    field of Kafka's has the name.
    """

    __slots__ = ()
    FIELDS: ClassVar[dict[str, Field]]
    PLANS: ClassVar[dict[tuple[int, bool], Plan]]
    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[tuple[int, int]] = ALWAYS
    FLEXIBLE: ClassVar[tuple[int, int]] = NEVER
    UNSTABLE: ClassVar[tuple[int, int]] = NEVER


def is_in(version: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= version <= bounds[1]


def plan(cls: type[Struct], version: int) -> Plan:
    """The plan of a message at one of its versions; compiled at first use."""
    return _plan(cls, version, is_in(version, cls.FLEXIBLE))


def _plan(cls: type[Struct], version: int, flexible: bool) -> Plan:
    found = cls.PLANS.get((version, flexible))
    if found is not None:
        return found
    out = Plan()
    # Stored before it is filled: a struct may contain itself.
    cls.PLANS[version, flexible] = out
    wire, tagged, absent, least = [], [], [], 0
    for name, field in cls.FIELDS.items():
        if not is_in(version, field.on_wire):
            absent.append((name, field.default))
            continue
        compiled = _field(name, field, version, flexible)
        if is_in(version, field.tagged):
            tagged.append((field.tag, compiled))
            absent.append((name, field.default))
        else:
            wire.append(compiled)
            least += compiled.min_bytes
    tagged.sort(key=lambda pair: pair[0])
    out.cls, out.flexible, out.absent = cls, flexible, tuple(absent)
    out.fields, out.tagged, out.by_tag = tuple(wire), tuple(tagged), dict(tagged)
    out.min_bytes = least + (1 if flexible else 0)
    return out


def _field(name: str, field: Field, version: int, flexible: bool) -> codec.Field:
    out = codec.Field()
    out.name, out.kind = name, _KINDS[field.kind]
    out.is_error = name.endswith("error_code")
    out.compact, out.default = flexible, field.default
    out.nullable = is_in(version, field.nullable)
    if field.kind == Kind.STRUCT:
        out.plan = _plan(field.item, version, flexible)
        out.min_bytes = 1 if out.nullable else out.plan.min_bytes
    elif field.kind == Kind.ARRAY:
        item = (
            field.item
            if isinstance(field.item, Field)
            else Field(Kind.STRUCT, "0+", None, item=field.item)
        )
        out.item = _field(name, item, version, flexible)
        out.item.min_bytes = max(1, out.item.min_bytes)
        out.min_bytes = 1 if flexible else 4
    elif field.kind in _FIXED_BYTES:
        out.min_bytes = _FIXED_BYTES[field.kind]
    else:
        out.min_bytes = 1 if flexible else 2 if field.kind == Kind.STRING else 4
    return out
