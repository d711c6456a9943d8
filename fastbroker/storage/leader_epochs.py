"""Which leader epoch wrote which offsets: the leader-epoch-checkpoint file (KIP-101, KIP-279).

    file := '0\\n' count '\\n' (epoch ' ' start_offset '\\n')*
"""
from __future__ import annotations

from bisect import bisect_right

from fastbroker.config.kinds import LONG_MAX
from fastbroker.model import OffsetAndEpoch
from fastbroker.storage.checkpoints import CorruptFile, pairs_file, read_pairs
from fastbroker.storage.disk import Disk

EPOCHS_FILE = "leader-epoch-checkpoint"
UNKNOWN = OffsetAndEpoch(-1, -1)


class LeaderEpochs:
    """(epoch, start offset) pairs, both ascending; kept in the file at `path`.

    is_dirty: they have changed, and the file has not. Batches have their epochs themselves, so the
        file can wait, as long as batches from `unsynced_from` on are looked at after a crash.
    is_synced: what is on the medium is what they are.
    may_be_lost: a power cut may leave the file empty, they are made anew from the batches; False in
        a log that was cut: the journal may have batches of what was behind the cut.
    """

    __slots__ = (
        "_written", "disk", "entries", "is_dirty", "is_synced", "may_be_lost", "path",
        "unsynced_from",
    )  # fmt: skip

    def __init__(self, disk: Disk, path: str) -> None:
        self.disk, self.path = disk, path
        self.entries: list[tuple[int, int]] = []
        self.is_dirty, self.is_synced = False, True
        self.unsynced_from = LONG_MAX
        self.may_be_lost = True
        self._written = -1  # the last epoch in the file

    def load(self) -> bool:
        """Learn what the file has; False when it is missing or no such file: a power cut can leave
        it empty, see `write`. Raises UnknownVersion, OSError."""
        try:
            found = read_pairs(self.disk, self.path)
        except (FileNotFoundError, CorruptFile):
            return False
        before = (-1, -1)
        for entry in found:
            if entry[0] <= before[0] or entry[1] <= before[1]:
                return False
            before = entry
        self.entries = found
        return True

    @property
    def latest(self) -> int:
        """The last epoch; -1: none."""
        return self.entries[-1][0] if self.entries else -1

    def assign(self, epoch: int, start_offset: int) -> None:
        """Batches from `start_offset` on are of `epoch`; nothing unless it is a later one."""
        if epoch > self.latest:
            while self.entries and self.entries[-1][1] >= start_offset:
                self.entries.pop()
            self.entries.append((epoch, start_offset))
            self.is_dirty, self.is_synced = True, False
            self.unsynced_from = min(self.unsynced_from, start_offset)

    def end_of(self, epoch: int, log_end_offset: int) -> OffsetAndEpoch:
        """Where the largest epoch <= `epoch` ends, and that epoch; UNKNOWN when there is none.

        Kafka: LeaderEpochFileCache.endOffsetFor.
        """
        if epoch < 0 or not self.entries:
            return UNKNOWN
        if epoch == self.latest:
            return OffsetAndEpoch(log_end_offset, epoch)
        after = bisect_right(self.entries, epoch, key=lambda entry: entry[0])
        if after == len(self.entries):
            return UNKNOWN  # later than all that we know
        if after == 0:
            # Earlier than all that we know: nothing of it is left.
            return OffsetAndEpoch(self.entries[0][1], epoch)
        return OffsetAndEpoch(self.entries[after][1], self.entries[after - 1][0])

    def epoch_of(self, offset: int) -> int:
        """The epoch that wrote `offset`; -1: unknown."""
        after = bisect_right(self.entries, offset, key=lambda entry: entry[1])
        return self.entries[after - 1][0] if after else -1

    def cut_from(self, offset: int) -> None:
        """The log ends at `offset` now."""
        kept = [entry for entry in self.entries if entry[1] < offset]
        self._replace(kept)

    def cut_before(self, offset: int) -> None:
        """The log begins at `offset` now: the epoch in which it lies begins there."""
        after = bisect_right(self.entries, offset, key=lambda entry: entry[1])
        if after > 0:
            self._replace([(self.entries[after - 1][0], offset), *self.entries[after:]])

    def _replace(self, entries: list[tuple[int, int]]) -> None:
        if entries != self.entries:
            self.entries = entries
            self.is_dirty, self.is_synced = True, False

    def write(self) -> None:
        """Bring the file up to the entries; `synced` follows when it is."""
        write = self.disk.write_file if self.may_be_lost else self.disk.replace_file
        write(self.path, pairs_file(self.entries))
        self.is_dirty, self._written = False, self.latest

    def synced(self) -> None:
        """What was written is on the medium."""
        later = (start for epoch, start in self.entries if epoch > self._written)
        self.unsynced_from = next(later, LONG_MAX)
        self.is_synced = not self.is_dirty
