"""The .snapshot files of one log: what was known of its producers at an offset.

One at the base of each segment but the first, written by the roll; and up to SAVED_KEPT between
bases, from saves and clean ends. Kafka's format; see producer_state.py.
"""
from __future__ import annotations

import os.path
from collections.abc import Collection, Sequence

from fastbroker.storage.disk import Disk
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.segment_files import SNAPSHOT, file_name, offsets_of

SAVED_KEPT = 2  # the last may be above the recovery point


class Snapshots:
    """Owned by a Log. Nothing here syncs."""

    __slots__ = ("directory", "disk")

    def __init__(self, disk: Disk, directory: str) -> None:
        self.disk, self.directory = disk, directory

    def path(self, offset: int) -> str:
        return os.path.join(self.directory, file_name(offset, SNAPSHOT))

    def write(self, offset: int, producers: ProducerState) -> str:
        """Its path. Raises OSError."""
        path = self.path(offset)
        self.disk.write_file(path, producers.snapshot())
        return path

    def newest(self, names: Sequence[str], offset: int) -> tuple[ProducerState, int]:
        """The newest usable one up to `offset`, and its offset; 0: there is none. Damaged ones and
        those behind `offset` go.

        names: of the files in the directory. Raises UnknownVersion, OSError.
        """
        for found in sorted(offsets_of(names, SNAPSHOT), reverse=True):
            path = self.path(found)
            if found > offset:
                # Whoever believes a snapshot believes the .txnindex below it, which is made anew
                # from `offset` on, in memory at first.
                self.disk.remove(path)
                continue
            producers = ProducerState.from_snapshot(self.disk.read_file(path), path)
            if producers is not None:
                return producers, found
            self.disk.remove(path)
        return ProducerState(), 0

    def drop_useless(self, names: Sequence[str], *, bases: Collection[int], end: int) -> None:
        """Remove those that are of no use to a log of segments `bases` that ends at `end`.

        One between two bases belongs to no segment: no deletion would take it along.
        """
        offsets = offsets_of(names, SNAPSHOT)
        saved = [offset for offset in offsets if offset not in bases and offset <= end]
        kept = {*bases, *sorted(saved)[-SAVED_KEPT:]}
        for offset in offsets:
            if offset > end or offset not in kept:
                self.disk.remove(self.path(offset))
