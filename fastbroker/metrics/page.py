"""A page of Prometheus' text format 0.0.4, made of what several processes say.

    page   := family*
    family := "# HELP " name " " help "\\n" "# TYPE " name " " type "\\n" sample*
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastbroker._c.exposition import histogram_lines, lines, number, partition_labels
from fastbroker.metrics.catalogue import FAMILIES
from fastbroker.metrics.family import Family
from fastbroker.metrics.labels import OTHER, label
from fastbroker.metrics.labels import labels as written
from fastbroker.metrics.samples import HISTOGRAM, PID, TABLE, VALUES, Block, Rows

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Page:
    """In the making; used once. The families come in the catalogue's order."""

    def __init__(self) -> None:
        self._lines: dict[str, list[bytes]] = {}

    def add(self, process: str, blocks: Iterable[Block]) -> None:
        """What a process says. Raises KeyError, ValueError, TypeError when it is not understood."""
        for block in blocks:
            if block[0] == VALUES:
                self._add_values(process, *block[1:])
            elif block[0] == HISTOGRAM:
                self._add_histogram(process, *block[1:])
            elif block[0] == TABLE:
                self._add_table(process, *block[1:])
            elif block[0] != PID:
                raise ValueError(f"blocks of kind {block[0]} are not known")

    def value(self, family: Family, value: float, **labels: str | int) -> None:
        """One sample, with all of its labels."""
        self._append(family, [line(family, written(**labels), value)])

    def series(self, family: Family, labels: list[bytes], values: Any) -> None:
        """A sample for each of `values`, int64 or float64; the least int64 and NaN: none."""
        text = lines(family.name.encode(), labels, values)
        if text:
            self._append(family, [text])

    def encode(self) -> bytes:
        """The page."""
        parts = []
        for name, family in FAMILIES.items():
            found = self._lines.get(name)
            if found:
                help_text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
                parts.append(f"# HELP {name} {help_text}\n# TYPE {name} {family.kind}\n".encode())
                parts += found
        return b"".join(parts)

    def _append(self, family: Family, found: list[bytes]) -> None:
        assert FAMILIES[family.name] is family, "it is in the catalogue"
        self._lines.setdefault(family.name, []).extend(found)

    def _add_values(
        self, process: str, name: str, pairs: list[tuple[bytes, float]]
    ) -> None:
        family = FAMILIES[name]
        self._append(
            family, [line(family, _own(family, process, labels), value) for labels, value in pairs]
        )

    def _add_histogram(
        self, process: str, name: str, labels: bytes, counts: bytes, total: float
    ) -> None:
        family = FAMILIES[name]
        bounds = [number(bound) for bound in family.buckets]
        own = _own(family, process, labels)
        found = histogram_lines(name.encode(), own, bounds, memoryview(counts).cast("q"), total)
        self._append(family, [found])

    def _add_table(
        self, process: str, names: list[str], rows: Rows, columns: list[bytes]
    ) -> None:
        plain: list[bytes] = []
        for topic, numbers in rows:
            plain += row_labels(topic, numbers)
        own: list[bytes] | None = None
        for name, column in zip(names, columns, strict=True):
            family = FAMILIES[name]
            labels = plain
            if family.is_of_process:
                if own is None:
                    own = [_own(family, process, one) for one in plain]
                labels = own
            self.series(family, labels, memoryview(column).cast("q"))


def row_labels(topic: str, numbers: bytes) -> list[bytes]:
    """The labels of some rows of a table: a topic's partitions, or without any the topic."""
    pair = label("topic", topic)
    if not numbers:
        return [pair]
    if topic == OTHER:
        return [pair + b"," + label("partition", OTHER)]
    return partition_labels(pair, memoryview(numbers).cast("i"))


def line(family: Family, labels: bytes, value: float) -> bytes:
    """One sample."""
    braced = b"{" + labels + b"}" if labels else b""
    return family.name.encode() + braced + b" " + number(value) + b"\n"


def _own(family: Family, process: str, labels: bytes) -> bytes:
    """With the process in front, where the family tells it."""
    if not family.is_of_process:
        return labels
    own = label("process", process)
    return own + b"," + labels if labels else own
