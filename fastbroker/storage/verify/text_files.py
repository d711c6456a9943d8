"""Files of text, line by line. Grammars: storage/checkpoints.py, log.py (partition.metadata)."""
from __future__ import annotations

import json
import re

from fastbroker.storage.verify.finding import Faults
from fastbroker.uuids import uuid_bytes, uuid_text

_NUMBER = re.compile(r"-?(0|[1-9]\d*)")


def rows(data: bytes, columns: int, *, path: str, faults: Faults) -> list[list[str]] | None:
    """The rows of a checkpoint file; None, and a fault, when it is malformed.

    The last columns are numbers; the first of three is a topic's name.
    """
    wrong = _wrong(data, columns)
    if wrong is not None:
        place, what = wrong
        faults.add(path, what, place=place)
        return None
    return [line.rsplit(" ", columns - 1) for line in data.decode().split("\n")[2:-1]]


def _wrong(data: bytes, columns: int) -> tuple[str, str] | None:
    if not data:
        return "", "it is empty"
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        return f"byte {error.start}", "it is no text"
    if lines[0] != "0":
        return "line 1", f"version {lines[0][:40]!r} instead of 0"
    if len(lines) < 3 or not re.fullmatch(r"\d+", lines[1]):
        return "line 2", "no number of rows"
    if lines[-1] != "":
        return f"line {len(lines)}", "the last line has no end"
    found = lines[2:-1]
    if len(found) != int(lines[1]):
        return "line 2", f"it announces {lines[1]} rows and has {len(found)}"
    for number, line in enumerate(found, 3):
        values = line.split(" ")
        numbers = values[-2:]
        if len(values) != columns or not all(_NUMBER.fullmatch(one) for one in numbers):
            shape = "topic, partition, offset" if columns == 3 else "epoch, offset"
            return f"line {number}", f"{line[:60]!r} is not: {shape}"
    return None


def properties(data: bytes, *, path: str, faults: Faults) -> dict[str, str]:
    """The pairs of a properties file."""
    found: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            faults.add(path, f"{line[:60]!r} is not: key=value", place=f"line {number}")
        elif key.strip() in found:
            faults.add(path, f"{key.strip()} is there twice", place=f"line {number}")
        else:
            found[key.strip()] = value.strip()
    return found


def topic_id(data: bytes, *, path: str, faults: Faults) -> str | None:
    """The id in a partition.metadata file; None, and a fault, when it is malformed."""
    lines = data.decode("utf-8", "replace").splitlines()
    if not data:
        faults.add(path, "it is empty")
        return None
    if lines[0] != "version: 0":
        faults.add(path, f"{lines[0][:40]!r} instead of 'version: 0'", place="line 1")
        return None
    if len(lines) != 2 or not lines[1].startswith("topic_id: "):
        faults.add(path, "no topic id", place="line 2")
        return None
    text = lines[1].removeprefix("topic_id: ")
    if not is_uuid(text):
        faults.add(path, f"{text[:40]!r} is no topic id", place="line 2")
        return None
    return text


def is_uuid(text: str) -> bool:
    """Whether it is the text of a uuid as Kafka writes it."""
    try:
        return uuid_text(uuid_bytes(text)) == text
    except ValueError:
        return False


def json_object(data: bytes) -> dict[str, object] | None:
    """The object in a file; None: it is none."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
