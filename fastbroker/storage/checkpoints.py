"""Small files of text: checkpoints of offsets, and properties.

    offsets    := '0\\n' count '\\n' (topic ' ' partition ' ' offset '\\n')*
    pairs      := '0\\n' count '\\n' (number ' ' number '\\n')*
    properties := ('#' text '\\n' | key '=' value '\\n')*
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk

VERSION = "0"


class CorruptFile(Exception):
    """A file of ours that is not what its grammar says; the message names file and line."""


def _rows(data: bytes, columns: int) -> list[list[str]]:
    lines = data.decode("utf-8", "replace").split("\n")
    if len(lines) < 2 or lines[0] != VERSION or not lines[1].isdigit():
        raise CorruptFile("a checkpoint file begins with a version and a count")
    rows = [line.split(" ") for line in lines[2:] if line]
    if len(rows) != int(lines[1]) or any(len(row) != columns for row in rows):
        raise CorruptFile(f"{lines[1]} rows of {columns} columns were expected")
    return rows


def pairs(data: bytes) -> Iterable[tuple[str, str]]:
    """The rows of a file of pairs. Raises CorruptFile."""
    return [(a, b) for a, b in _rows(data, 2)]


def pairs_file(rows: Iterable[tuple[int, int]]) -> bytes:
    """The content of a file of pairs."""
    lines = [f"{a} {b}" for a, b in rows]
    return "\n".join([VERSION, str(len(lines)), *lines, ""]).encode()


def read_offsets(disk: Disk, path: str) -> dict[TopicPartition, int]:
    """An offset checkpoint; empty when there is none. Raises CorruptFile."""
    if not disk.exists(path):
        return {}
    rows = _rows(disk.read_file(path), 3)
    return {TopicPartition(topic, int(number)): int(offset) for topic, number, offset in rows}


def write_offsets(disk: Disk, path: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Replace an offset checkpoint."""
    lines = [f"{tp.topic} {tp.partition} {offset}" for tp, offset in offsets.items()]
    data = "\n".join([VERSION, str(len(lines)), *lines, ""])
    disk.replace_file(path, data.encode())


def read_properties(disk: Disk, path: str) -> dict[str, str]:
    """A properties file of ours; empty when there is none."""
    if not disk.exists(path):
        return {}
    lines = disk.read_file(path).decode("utf-8", "replace").splitlines()
    found = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in found}


def write_properties(disk: Disk, path: str, values: Mapping[str, object]) -> None:
    """Replace a properties file."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    disk.replace_file(path, text.encode())
