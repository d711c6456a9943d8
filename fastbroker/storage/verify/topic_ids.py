"""Which topic has which id: from the metadata log."""
from __future__ import annotations

import os.path

from fastbroker.errors import CorruptFrame, CorruptMessage
from fastbroker.protocol.metadata_records import RemoveTopicRecord, TopicRecord
from fastbroker.protocol.record_frames import decode_metadata_record
from fastbroker.records.reader import Batch
from fastbroker.storage.disk import Disk
from fastbroker.storage.segment_files import LOG, file_name
from fastbroker.storage.verify.names import partition_names
from fastbroker.storage.verify.scan import pieces
from fastbroker.uuids import uuid_text


def topic_ids(disk: Disk, directory: str) -> dict[str, str] | None:
    """Topic -> id, from the metadata log in `directory`; None: it does not tell. Raises OSError."""
    if not disk.exists(directory):
        return None
    names = partition_names(disk.list(directory))
    files = [file_name(base, LOG) for base in names.logs]
    if names.metadata_snapshots:
        files.insert(0, max(names.metadata_snapshots))
    elif not names.logs or names.logs[0] > 0:
        return None
    found: dict[str, str] = {}
    for name in files:
        path = os.path.join(directory, name)
        for piece in pieces(disk, path, disk.size(path)):
            if piece.wrong or piece.header is None:
                return None
            if piece.header.is_control:
                continue
            try:
                _replay(found, Batch(piece.header, piece.data))
            except (CorruptFrame, CorruptMessage):
                return None
    return found


def _replay(found: dict[str, str], batch: Batch) -> None:
    for one in batch.records():
        record = decode_metadata_record(one.value or b"")
        if isinstance(record, TopicRecord):
            found[record.name] = uuid_text(bytes(record.topic_id))
        elif isinstance(record, RemoveTopicRecord):
            gone = uuid_text(bytes(record.topic_id))
            for name in [name for name, text in found.items() if text == gone]:
                del found[name]
