"""Which topic a partition's directory belongs to: its partition.metadata file.

    file := 'version: 0\\n' 'topic_id: ' id '\\n'
"""
from __future__ import annotations

import os.path
from collections.abc import Collection

from fastbroker.storage.checkpoints import UnknownVersion
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.uuids import uuid_bytes, uuid_text

METADATA_FILE = "partition.metadata"
VERSION = "0"


def topic_id_text(disk: Disk, directory: str) -> str | None:
    """The topic id as the file has it; None when there is no file, or an empty one, which a power
    cut leaves. Raises UnknownVersion, Damaged, OSError."""
    path = os.path.join(directory, METADATA_FILE)
    try:
        text = disk.read_file(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    if not text.strip("\0"):
        return None
    pairs = [line.split(": ", 1) for line in text.splitlines()]
    fields = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    version, topic_id = fields.get("version", ""), fields.get("topic_id", "")
    if version.isdecimal() and version != VERSION:
        raise UnknownVersion(path, version, VERSION)
    try:
        if version != VERSION:
            raise ValueError("no version")
        uuid_bytes(topic_id)
    except ValueError as error:
        raise Damaged(
            f"{path} is damaged ({error}): if the directory is this topic's, remove the file, it is"
            " made anew; otherwise restore it"
        ) from None
    return topic_id


def has_topic_id(disk: Disk, directory: str, names: Collection[str]) -> bool:
    """Whether there is a file, and not an empty one; names: of the files there. Raises OSError."""
    return METADATA_FILE in names and disk.size(os.path.join(directory, METADATA_FILE)) > 0


def write_topic_id(disk: Disk, directory: str, topic_id: bytes) -> None:
    """On the medium when this returns. Raises OSError.

    Lost in a power cut, it would make a deleted topic's directory the next one's.
    """
    text = f"version: {VERSION}\ntopic_id: {uuid_text(topic_id)}\n"
    disk.replace_file(os.path.join(directory, METADATA_FILE), text.encode())
