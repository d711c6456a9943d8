"""The small files of a log directory: its identity, its checkpoints, the clean-shutdown file."""
from __future__ import annotations

import os.path
from typing import NamedTuple

from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log_dir import CLEAN, LOCK, META
from fastbroker.storage.offset_checkpoints import HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS
from fastbroker.storage.verify.finding import Faults, Severity
from fastbroker.storage.verify.text_files import is_uuid, json_object, properties, rows

CLEANED = "cleaner-offset-checkpoint"
# "reserve": space of the controller's, for a full disk.
KNOWN = {META, CLEAN, LOCK, RECOVERY_POINTS, LOG_STARTS, HIGH_WATERMARKS, CLEANED,
         "bootstrap.checkpoint", "reserve"}  # fmt: skip
# What a start does without a checkpoint.
_WITHOUT = {
    RECOVERY_POINTS: "ignores it: every log is checked from its first segment on",
    LOG_STARTS: "ignores it: logs begin at their first segment, and what was deleted is back",
    HIGH_WATERMARKS: "nothing; it is written anew",
    CLEANED: "ignores it: logs are compacted from their start",
}
_IF_LEFT = {RECOVERY_POINTS: Severity.REPAIR, CLEANED: Severity.REPAIR,
            HIGH_WATERMARKS: Severity.REPAIR, LOG_STARTS: Severity.DAMAGE}  # fmt: skip

Offsets = dict[TopicPartition, int]


class DirectoryFiles(NamedTuple):
    """What the files of a log directory say; offsets by partition."""

    identity: dict[str, str]
    is_clean: bool
    recovery_points: Offsets
    log_starts: Offsets
    high_watermarks: Offsets
    cleaned: Offsets


def read_directory(disk: Disk, path: str, faults: Faults) -> DirectoryFiles:
    """Read and check them. Raises OSError."""
    identity = _identity(disk, os.path.join(path, META), faults)
    clean = os.path.join(path, CLEAN)
    is_clean = disk.exists(clean)
    if is_clean:
        data = disk.read_file(clean)
        # Kafka's older versions leave it empty.
        is_clean = json_object(data) is not None
        if not is_clean:
            remedy = "takes it for a crash: logs are checked from their recovery points on"
            faults.add(clean, "it is no JSON", if_left=Severity.REPAIR, remedy=remedy)
    names = (RECOVERY_POINTS, LOG_STARTS, HIGH_WATERMARKS, CLEANED)
    found = [_offsets(disk, os.path.join(path, name), name, faults) for name in names]
    return DirectoryFiles(identity, is_clean, *found)


def _identity(disk: Disk, path: str, faults: Faults) -> dict[str, str]:
    remedy = "makes a new one: the directory may then be taken into any cluster"
    if not disk.exists(path):
        faults.add(path, "it is missing", if_left=Severity.REPAIR, remedy=remedy)
        return {}
    found = properties(disk.read_file(path), path=path, faults=faults)
    if not found:
        faults.add(path, "it is empty", if_left=Severity.REPAIR, remedy=remedy)
        return {}
    if found.get("version") != "1":
        faults.add(path, f"version {found.get('version')} instead of 1", remedy="nothing")
    for key in ("cluster.id", "node.id"):
        if not found.get(key):
            faults.add(path, f"{key} is missing", remedy="does without it")
    if not found.get("node.id", "0").isdigit():
        faults.add(path, f"node.id {found['node.id']!r} is no number", remedy="does not start")
    home, _, number = os.path.basename(os.path.dirname(path)).rpartition("-")
    if home in ("broker", "controller") and found.get("node.id", number) != number:
        what = f"node.id {found['node.id']} in a directory called {home}-{number}"
        faults.add(path, what, remedy="does not start")
    directory = found.get("directory.id", "")
    if not is_uuid(directory):
        what = f"directory.id {directory!r} is no uuid"
        remedy = "takes a new id: the controller does not know the directory by it"
        faults.add(path, what, if_left=Severity.REPAIR, remedy=remedy)
    return found


def _offsets(disk: Disk, path: str, name: str, faults: Faults) -> Offsets:
    if not disk.exists(path):
        return {}
    mine = Faults()
    found = rows(disk.read_file(path), 3, path=path, faults=mine)
    for fault in mine.all():
        faults.add(
            path, fault.what, place=fault.place, if_left=_IF_LEFT[name], remedy=_WITHOUT[name]
        )
    out: Offsets = {}
    for number, (topic, partition, offset) in enumerate(found or [], 3):
        where = TopicPartition(topic, int(partition))
        place = f"line {number}"
        if where in out:
            faults.add(path, f"{where} is there twice", place=place, remedy="takes the last")
        if int(offset) < 0 or int(partition) < 0:
            faults.add(path, f"{where} has offset {offset}", place=place, remedy="nothing")
        out[where] = max(int(offset), 0)
    return out
