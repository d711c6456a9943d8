"""Which leader epoch wrote which offsets: where two logs with the same past part ways."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from fastbroker.model import OffsetAndEpoch


class EpochHistory:
    """The start offset of every epoch that has records in the log, oldest first."""

    def __init__(self, starts: Iterable[OffsetAndEpoch] = ()) -> None:
        self._starts = sorted(starts, key=lambda start: start.epoch)

    @property
    def last_epoch(self) -> int:
        """0 for an empty log, as Kafka has it."""
        return self._starts[-1].epoch if self._starts else 0

    def begin(self, epoch: int, *, offset: int) -> None:
        """The first record of `epoch` is at `offset`; no change if the epoch is known."""
        if not self._starts or epoch > self._starts[-1].epoch:
            self._starts.append(OffsetAndEpoch(offset, epoch))

    def end_of(self, epoch: int, *, log_end_offset: int) -> OffsetAndEpoch:
        """The newest epoch not above `epoch`, and the offset behind its last record.

        (offset of the oldest record, -1) when the log knows only newer epochs.
        """
        at = bisect_right(self._starts, epoch, key=lambda start: start.epoch)
        end = self._starts[at].offset if at < len(self._starts) else log_end_offset
        return OffsetAndEpoch(end, self._starts[at - 1].epoch if at else -1)
