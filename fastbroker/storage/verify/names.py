"""What the names in a directory say."""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from fastbroker.storage.recovery import LEFTOVERS
from fastbroker.storage.segment_files import INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX

OF_SEGMENTS = (LOG, INDEX, TIME_INDEX, TXN_INDEX)
KNOWN = {"leader-epoch-checkpoint", "partition.metadata", "quorum-state"}
PARTITION = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})-(?P<partition>\d+)")
GONE = re.compile(r".+\.[0-9a-f]{32}-(delete|stray|future)")
_SEGMENT = re.compile(r"\d{20}")
_KEPT = re.compile(r"\d{20}\.log\.\d+\.cut")  # what was cut from a damaged segment
_METADATA_SNAPSHOT = re.compile(r"\d{20}-\d{10}\.checkpoint")


class PartitionNames(NamedTuple):
    """The names in a partition's directory by what they are.

    logs, snapshots: base offsets, ascending. orphans: index files without their .log.
    """

    logs: Sequence[int]
    snapshots: Sequence[int]
    metadata_snapshots: Sequence[str]
    leftovers: Sequence[str]
    orphans: Sequence[str]
    foreign: Sequence[str]


def partition_names(names: Sequence[str]) -> PartitionNames:
    """Sort the names in a partition's directory."""
    logs, snapshots = [], []
    metadata, leftovers, orphans, foreign = [], [], [], []
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if name.endswith(LEFTOVERS):
            leftovers.append(name)
        elif name in KNOWN or _KEPT.fullmatch(name):
            pass
        elif _METADATA_SNAPSHOT.fullmatch(name):
            metadata.append(name)
        elif not _SEGMENT.fullmatch(stem) or dot + suffix not in (*OF_SEGMENTS, SNAPSHOT):
            foreign.append(name)
        elif dot + suffix == LOG:
            logs.append(int(stem))
        elif dot + suffix == SNAPSHOT:
            snapshots.append(int(stem))
        elif f"{stem}{LOG}" not in names:
            orphans.append(name)
    return PartitionNames(
        sorted(logs), sorted(snapshots), metadata, leftovers, orphans, foreign
    )
