"""What one process says when it is asked for its metrics.

    answer  := [block*]                             as marshal writes it
    block   := VALUES family [(labels, number)*]
             | HISTOGRAM family labels counts sum   counts: int64*, of each bucket and of +Inf
             | TABLE [family*] rows [column*]       column: int64*, a value for each row or MISSING
             | PID pid                              of the process
    rows    := [(topic, numbers)*]                  numbers: int32*, of partitions; b"": the topic

Integers in columns are in the machine's own order, and marshal's format is the interpreter's own:
both ends are processes of one parent, and the socket between them is their user's alone.
"""
from __future__ import annotations

import marshal
from collections.abc import Sequence
from typing import Any

from fastbroker.metrics.family import Family
from fastbroker.metrics.labels import labels as written

VALUES, HISTOGRAM, TABLE, PID = 0, 1, 2, 3
MISSING = -(2**63)
Block = tuple[Any, ...]
Rows = list[tuple[str, bytes]]


class Samples:
    """An answer in the making; used once."""

    def __init__(self) -> None:
        self._values: dict[str, list[tuple[bytes, float]]] = {}
        self._blocks: list[Block] = []

    def value(self, family: Family, number: float, **labels: str | int) -> None:
        """One sample. labels: without `process`."""
        self._values.setdefault(family.name, []).append((written(**labels), number))

    def pid(self, pid: int) -> None:
        """Whose samples these are: what the kernel knows of it, the gateway looks up."""
        self._blocks.append((PID, pid))

    def histogram(
        self, family: Family, counts: bytes, total: float, **labels: str | int
    ) -> None:
        """counts: int64 of each bucket and of +Inf. total: the sum of what was observed."""
        self._blocks.append((HISTOGRAM, family.name, written(**labels), counts, total))

    def table(
        self, rows: Rows, families: Sequence[Family], columns: Sequence[bytes]
    ) -> None:
        """A column of int64 for each family, a value for each row; MISSING: none."""
        if rows:
            names = [family.name for family in families]
            self._blocks.append((TABLE, names, rows, list(columns)))

    def encode(self) -> bytes:
        values = [(VALUES, name, pairs) for name, pairs in self._values.items()]
        return marshal.dumps(values + self._blocks)


def decode(answer: bytes) -> list[Block]:
    """The blocks of an answer. Raises ValueError, EOFError, TypeError when it is none."""
    blocks = marshal.loads(answer)
    if not isinstance(blocks, list):
        raise ValueError("no answer of this version")
    return blocks


def number_of(blocks: list[Block], family: Family) -> float | None:
    """The value of a family that has one sample; None: it is not there."""
    for block in blocks:
        if block[0] == VALUES and block[1] == family.name:
            _, number = block[2][0]
            return float(number)
    return None


def pid_of(blocks: list[Block]) -> int | None:
    """The process that tells them."""
    return next((int(block[1]) for block in blocks if block[0] == PID), None)
