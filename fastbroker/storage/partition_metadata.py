"""Which topic a partition's directory belongs to: its partition.metadata file.

It is on the medium before the first batch of the log is acknowledged, and before its file of leader
epochs is written. A directory that has neither is what a power cut leaves of a log whose first
flush never ended, and may be of an earlier topic of that name. Kafka's logs may lack it, too.

    file := 'version: 0\\n' 'topic_id: ' id '\\n'
"""
from __future__ import annotations

import os.path
from collections.abc import Collection

from fastbroker.storage.checkpoints import UnknownVersion
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.leader_epochs import EPOCHS_FILE
from fastbroker.storage.segment_files import LOG
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
            f"{path} is damaged ({error}): if the directory is this topic's, copy the file of"
            " another partition of it, or write it with the topic's id; otherwise restore it"
        ) from None
    return topic_id


def write_topic_id(disk: Disk, directory: str, topic_id: bytes) -> str:
    """Unsynced; the path of what is to be synced, with its directory. Raises OSError."""
    text = f"version: {VERSION}\ntopic_id: {uuid_text(topic_id)}\n"
    path = os.path.join(directory, METADATA_FILE)
    disk.write_file(path, text.encode())
    return path


def is_unflushed(names: Collection[str]) -> bool:
    """Whether a directory without a topic id, after a crash, is of a log whose first flush never
    ended: nothing in it was acknowledged. names: of the files there."""
    return EPOCHS_FILE not in names and any(name.endswith(LOG) for name in names)
