"""Small files of text: checkpoints of offsets, and properties.

    offsets    := '0\\n' count '\\n' (topic ' ' partition ' ' offset '\\n')*
    pairs      := '0\\n' count '\\n' (number ' ' number '\\n')*
    properties := ('#' text '\\n' | key '=' value '\\n')*
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.uuids import uuid_bytes, uuid_text

VERSION = 0
IDENTITY_VERSION = "1"  # of meta.properties


class CorruptFile(Exception):
    """A file of ours that is not what its grammar says; the message names it."""


class UnknownVersion(Exception):
    """A file of a version that is not known here, most likely written by a newer broker; the
    message names file and versions. Nothing may be concluded from it, or done to it."""

    def __init__(self, path: str, found: object, known: object, remedy: str = "") -> None:
        super().__init__(
            f"{path} has version {found}, this broker understands {known}: use the version of the"
            f" broker that wrote it{remedy}"
        )


def _rows(path: str, data: bytes, columns: int) -> list[list[str]]:
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[0].isdecimal() and lines[0].isascii() and int(lines[0]) != VERSION:
        raise UnknownVersion(path, lines[0][:20], VERSION)
    if len(lines) < 2 or lines[0] != str(VERSION) or not lines[1].isdecimal():
        raise CorruptFile(f"{path}: a checkpoint file begins with a version and a count")
    rows = [line.split(" ") for line in lines[2:] if line]
    if len(rows) != int(lines[1]) or any(len(row) != columns for row in rows):
        raise CorruptFile(f"{path}: {lines[1]} rows of {columns} columns were expected")
    return rows


def read_pairs(disk: Disk, path: str) -> list[tuple[int, int]]:
    """The rows of a file of pairs. Raises CorruptFile, UnknownVersion, OSError."""
    try:
        return [(int(a), int(b)) for a, b in _rows(path, disk.read_file(path), 2)]
    except ValueError as error:
        raise CorruptFile(f"{path}: {error}") from None


def pairs_file(rows: Iterable[tuple[int, int]]) -> bytes:
    """The content of a file of pairs."""
    lines = [f"{a} {b}" for a, b in rows]
    return "\n".join([str(VERSION), str(len(lines)), *lines, ""]).encode()


def read_offsets(disk: Disk, path: str) -> dict[TopicPartition, int]:
    """An offset checkpoint; empty when there is none.

    Raises CorruptFile, UnknownVersion, OSError.
    """
    if not disk.exists(path):
        return {}
    rows = _rows(path, disk.read_file(path), 3)
    try:
        return {TopicPartition(topic, int(number)): int(offset) for topic, number, offset in rows}
    except ValueError as error:
        raise CorruptFile(f"{path}: {error}") from None


def write_offsets(disk: Disk, path: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Replace an offset checkpoint."""
    lines = [f"{tp.topic} {tp.partition} {offset}" for tp, offset in offsets.items()]
    data = "\n".join([str(VERSION), str(len(lines)), *lines, ""])
    disk.replace_file(path, data.encode())


def read_properties(disk: Disk, path: str) -> dict[str, str]:
    """A properties file of ours; empty when there is none."""
    if not disk.exists(path):
        return {}
    lines = disk.read_file(path).decode("utf-8", "replace").splitlines()
    found = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in found}


def read_identity(disk: Disk, path: str) -> dict[str, str]:
    """meta.properties, with node.id and cluster.id, and a directory.id that can be read if there is
    one.

    Raises CorruptFile, UnknownVersion, OSError.
    """
    found = read_properties(disk, path)
    version = found.get("version", "")
    if version.isdecimal() and version != IDENTITY_VERSION:
        raise UnknownVersion(path, version, IDENTITY_VERSION)
    missing = [name for name in ("version", "cluster.id", "node.id") if not found.get(name)]
    if missing:
        raise CorruptFile(f"{path} is damaged, {missing[0]} is missing: restore it from a backup")
    try:
        int(found["version"]), int(found["node.id"])
        uuid_bytes(found.get("directory.id", uuid_text(bytes(16))))
    except ValueError as error:
        raise CorruptFile(f"{path} is damaged ({error}): restore it from a backup") from None
    return found


def write_properties(disk: Disk, path: str, values: Mapping[str, object]) -> None:
    """Replace a properties file."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    disk.replace_file(path, text.encode())
