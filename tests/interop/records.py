"""What the matrix produces, and the comparison of what came back.

A topic's records are a function of its name, so a record that strays to another topic is noticed.
"""
from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

PARTITIONS = 4
PLAIN, TAGGED = 14, 4  # records of a partition without and with headers
MAX_DIFFERENCES = 8

# Names that repeat stand together: some clients give headers as a mapping from name to values.
# Without ',' and '=' in a value, kcat's only binary-safe way to print headers is unambiguous.
HEADERS: tuple[tuple[str, bytes | None], ...] = (
    ("source", b"web"),
    ("tag", b"one"),
    ("tag", b"two"),
    ("größe", "zwölf".encode()),
    ("binary", b"\xff\xfe\x80\x01"),
    ("empty", b""),
    ("nothing", None),
)


@dataclass(frozen=True)
class Record:
    """One record and where it is; `headers` in order, None is Kafka's null."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def to_json(self) -> str:
        """The JSON line that the client programs read and write."""
        headers = [[name, _to_hex(value)] for name, value in self.headers]
        line = {"topic": self.topic, "partition": self.partition, "headers": headers}
        return json.dumps({**line, "key": _to_hex(self.key), "value": _to_hex(self.value)})

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The reverse of to_json; ValueError or KeyError for anything else."""
        got = json.loads(line)
        headers = tuple((name, _from_hex(value)) for name, value in got["headers"])
        key, value = _from_hex(got["key"]), _from_hex(got["value"])
        return cls(got["topic"], got["partition"], key, value, headers)


Place = tuple[str, int]
Logs = Mapping[Place, Sequence[Record]]


def records_of(topic: str, *, without: Collection[str] = ()) -> list[Record]:
    """The records of `topic`, partitions in turn: text, binary, large, empty, null, headers.

    without: names of the headers that the client cannot send.
    """
    headers = tuple((name, value) for name, value in HEADERS if name not in without)
    columns = [_partition(topic, partition, headers) for partition in range(PARTITIONS)]
    return [record for row in zip(*columns, strict=True) for record in row]


def _partition(
    topic: str, partition: int, headers: tuple[tuple[str, bytes | None], ...]
) -> list[Record]:
    """A partition's records; those of one form stand together, kcat sends one form at a time."""
    chance = random.Random(f"{topic}/{partition}")
    out = []
    for n in range(PLAIN + TAGGED):
        text = f"{topic}/{partition}/{n} ".encode()
        key = f"key-{n % 5}-{partition}".encode()
        value = text + b"the same words again and again " * chance.randint(1, 20)
        out.append(Record(topic, partition, key, value, headers if n >= PLAIN else ()))
    out[2] = replace(out[2], value=b"")
    out[3] = replace(out[3], key=b"")
    out[4] = replace(out[4], value=chance.randbytes(300))
    out[5] = replace(out[5], value=chance.randbytes(2000) * 10)
    out[PLAIN - 5] = replace(out[PLAIN - 5], value=None)
    for n in range(PLAIN - 4, PLAIN):
        out[n] = replace(out[n], key=None)
    out[PLAIN - 1] = replace(out[PLAIN - 1], value="Grüße, 世界 🎈".encode())
    out[PLAIN] = replace(out[PLAIN], key=None)
    out[PLAIN + 1] = replace(out[PLAIN + 1], value=None)
    return out


def by_partition(records: Iterable[Record]) -> Logs:
    """Records as one sequence a partition, in the order given."""
    out: dict[Place, list[Record]] = defaultdict(list)
    for record in records:
        out[record.topic, record.partition].append(record)
    return out


def differences(expected: Logs, got: Logs) -> list[str]:
    """How `got` is not exactly `expected`, partition by partition in order; empty when equal.

    At most MAX_DIFFERENCES lines, each with the place, what was lost, added, or out of order.
    """
    out = []
    for place in sorted({*expected, *got}):
        want, have = list(expected.get(place, ())), list(got.get(place, ()))
        if want == have:
            continue
        lost = _minus(want, have)
        added = _minus(have, want)
        where = f"{place[0]}-{place[1]}: {len(have)} of {len(want)} records"
        if not lost and not added:
            pairs = enumerate(zip(want, have, strict=True))
            first = next(n for n, (wanted, had) in pairs if wanted != had)
            out.append(f"{where}, out of order from index {first} on")
            continue
        for words, some in (("lost", lost), ("not produced", added)):
            if some:
                out.append(f"{where}, {len(some)} {words}, first {_short(some[0])}")
    if len(out) > MAX_DIFFERENCES:
        out[MAX_DIFFERENCES:] = [f"and {len(out) - MAX_DIFFERENCES} more"]
    return out


def _minus(these: Sequence[Record], those: Sequence[Record]) -> list[Record]:
    left = list(those)
    out = []
    for record in these:
        if record in left:
            left.remove(record)
        else:
            out.append(record)
    return out


def _short(record: Record) -> str:
    value = record.value if record.value is None else record.value[:60]
    return f"key={record.key!r} value={value!r} headers={list(record.headers)!r}"


def _to_hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _from_hex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
