"""Leader epochs of batches, among themselves and against leader-epoch-checkpoint."""
from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from fastbroker._c.record_batch import BatchHeader
from fastbroker.storage.verify.finding import Faults, Severity


class EpochHistory:
    """entries: (epoch, start offset) as the file has them; None: it cannot be used.

    believed: up to this offset the file has to have them; those of later batches are learned from
    the batches at the next start, as here. log_start: where the log begins.
    """

    def __init__(
        self, entries: list[tuple[int, int]] | None, *, path: str, faults: Faults, log_start: int,
        believed: int,
    ) -> None:  # fmt: skip
        self.entries, self.path, self.faults = entries, path, faults
        self.log_start, self.believed = log_start, believed
        self._latest = -1
        self._told: set[tuple[int, int]] = set()
        for number, (before, after) in enumerate(pairwise(entries or []), 4):
            if after[0] <= before[0] or after[1] <= before[1]:
                what = f"epoch {after[0]} from {after[1]} on follows {before[0]} from {before[1]}"
                faults.add(path, what, place=f"line {number}")
                self.entries = None
        if self.entries and (self.entries[0][0] < 0 or self.entries[0][1] < 0):
            faults.add(path, "a negative number", place="line 3")
            self.entries = None

    def batch(self, path: str, position: int, header: BatchHeader) -> None:
        """The next good batch."""
        epoch, offset = header.leader_epoch, header.base_offset
        place = f"position {position}"
        if self.entries is not None:
            if offset >= self.believed and (not self.entries or epoch > self.entries[-1][0]):
                self.entries = [one for one in self.entries if one[1] < offset]
                self.entries.append((epoch, offset))
            number = bisect_right(self.entries, offset, key=lambda entry: entry[1])
            said = self.entries[number - 1][0] if number else epoch
            if number == 0 and offset >= self.log_start and not self._told:
                # A note: the checkpoint of log starts may be older than this file.
                what = f"it says nothing of offset {offset}, which is of epoch {epoch}"
                self.faults.add(self.path, what, if_left=Severity.NOTE)
            if said != epoch:
                if (said, epoch) not in self._told:
                    name = self.path.rpartition("/")[2]
                    what = f"leader epoch {epoch} at offset {offset}, {name} says {said}"
                    self.faults.add(path, what, place=place)
                self._told.add((said, epoch))
                return
            self._told.add((said, epoch))
        if epoch < self._latest:
            what = f"leader epoch {epoch} behind {self._latest}"
            self.faults.add(path, what, place=place)
            return
        self._latest = epoch

    def begin(self, log_begin: int, *, is_certain: bool) -> None:
        """The log begins at `log_begin`; is_certain: what lies before has not been deleted."""
        if self.entries and self.entries[0][1] < log_begin:
            first = self.entries[0][1]
            what = f"offsets {first}..{log_begin - 1} are missing, which it still has an epoch of"
            if_left = Severity.DAMAGE if is_certain else Severity.NOTE
            self.faults.add(self.path, what, place="line 3", if_left=if_left)

    def finish(self, end: int) -> None:
        """The log ends at `end`."""
        for number, (epoch, start) in enumerate(self.entries or [], 3):
            if start > end:
                what = f"epoch {epoch} begins at {start}, the log ends at {end}"
                self.faults.add(self.path, what, place=f"line {number}", if_left=Severity.NOTE)
