"""What a log promised, remembered batch by batch, and whether it kept it."""
from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterator
from struct import Struct as Layout
from typing import NamedTuple

from fastbroker.records.control import COMMIT, control_kind
from fastbroker.records.reader import Batch
from fastbroker.storage.log import Log
from tests.sim.schedules import Broken
from tests.storage.transactions import batches_of

_OFFSET, _TIME = Layout(">II"), Layout(">qI")  # entries of .index and .timeindex


class Written(NamedTuple):
    """One batch as it went into the log. sent: a client's bytes, b"" for a marker. times: of its
    records, in ms. commit: of a marker; None: it is none."""

    first: int
    last: int
    values: tuple[str, ...]
    times: tuple[int, ...]
    epoch: int
    producer_id: int = -1
    producer_epoch: int = -1
    sequence: int = -1
    transactional: bool = False
    commit: bool | None = None
    sent: bytes = b""


class Known(NamedTuple):
    """What is known of a producer. sequence: its last, -1 in a new epoch. begun: first offset of
    its open transaction, -1: none."""

    epoch: int
    sequence: int
    begun: int


class Promises:
    """Of one partition of one topic, from its creation on.

    batches: all that were written and have not been lost, which those below `acked` may not be.
    start: where the log begins. safe_start: a checkpoint says that it begins there. cut_start: the
    latest start that it ever had; a cut may undo that, but the epochs before it may be forgotten.
    refused: a batch that nobody was promised, but that may be behind all others in the file.
    """

    def __init__(self) -> None:
        self.batches: list[Written] = []
        self.start = self.safe_start = self.cut_start = 0
        self.acked = 0
        self.refused: Written | None = None

    @contextlib.contextmanager
    def writing(self, one: Written) -> Iterator[None]:
        """`one` is written, unless there is an error."""
        self.refused = one
        yield
        self.refused = None
        self.batches.append(one)

    @property
    def end(self) -> int:
        return self.batches[-1].last + 1 if self.batches else 0

    def producers(self) -> dict[int, Known]:
        """What all batches ever written say, those at the end that were lost excepted."""
        out: dict[int, Known] = {}
        for one in self.batches:
            if one.producer_id < 0:
                continue
            known = out.get(one.producer_id, Known(one.producer_epoch, -1, -1))
            if one.commit is not None:
                last = known.sequence if known.epoch == one.producer_epoch else -1
                out[one.producer_id] = Known(one.producer_epoch, last, -1)
                continue
            begun = known.begun
            if one.transactional and begun < 0:
                begun = one.first
            sequence = one.sequence + len(one.values) - 1
            out[one.producer_id] = Known(one.producer_epoch, sequence, begun)
        return out

    def aborted(self) -> list[tuple[int, int, int]]:
        """(producer id, first offset, marker's offset), by marker."""
        begun: dict[int, int] = {}
        out = []
        for one in self.batches:
            if one.commit is None:
                if one.transactional:
                    begun.setdefault(one.producer_id, one.first)
                continue
            first = begun.pop(one.producer_id, -1)
            if first >= 0 and not one.commit:
                out.append((one.producer_id, first, one.first))
        return out

    # ---- after a power cut

    def after_power_cut(self, log: Log, *, lost_nothing: bool = False) -> None:
        """`log` has been opened again: it has all that was promised, and nothing else. What it has
        is the truth from now on. lost_nothing: it had been closed."""
        if self.refused is not None and self.refused.last < log.log_end_offset:
            self.batches.append(self.refused)
        self.refused = None
        end, least = log.log_end_offset, self.end if lost_nothing else self.acked
        if end < least:
            raise Broken(f"{log.partition} ends at {end}, {least} was promised")
        if end > max(self.end, self.start):
            raise Broken(f"{log.partition} ends at {end}, only {self.end} was written")
        if log.flushed_offset != end:
            raise Broken(f"{log.partition}: {log.flushed_offset} is flushed of {end}")
        if not self.safe_start <= log.log_start_offset <= self.start:
            raise Broken(
                f"{log.partition} begins at {log.log_start_offset}, at {self.start} before,"
                f" {self.safe_start} is the checkpoint"
            )
        self.cut_start = max(self.cut_start, self.start)
        self.start, self.acked = log.log_start_offset, end
        self.batches = [one for one in self.batches if one.last < end]
        if self.end != end and end != self.start:
            raise Broken(f"{log.partition} ends at {end}, inside a batch that ends at {self.end}")
        self.check(log)

    def check(self, log: Log) -> None:
        """Everything in the files, and everything that is known of them, is right."""
        found = batches_of(log)
        begin = log.segments[0].base_offset
        if begin > self.start:
            raise Broken(f"{log.partition}: {self.start} is gone, {begin} is the first segment")
        here = [one for one in self.batches if one.first >= begin]
        self._check_content(log, here, found)
        self._check_offsets(log, here)
        self._check_indexes(log)
        self._check_times(log, here)
        self._check_producers(log)
        self._check_aborted(log)
        since = max(self.start, self.cut_start)
        for one in here:
            if one.first >= since and log.epochs.epoch_of(one.first) != one.epoch:
                raise Broken(
                    f"{log.partition}: offset {one.first} is of epoch {one.epoch},"
                    f" {log.epochs.entries} is known"
                )

    def _check_content(self, log: Log, here: list[Written], found: list[Batch]) -> None:
        if len(here) != len(found):
            raise Broken(
                f"{log.partition} has {[b.header.base_offset for b in found]},"
                f" written were {[one.first for one in here]}"
            )
        for one, batch in zip(here, found, strict=True):
            header = batch.header
            is_same = (
                header.base_offset == one.first
                and header.last_offset == one.last
                and header.leader_epoch == one.epoch
                and header.producer_id == one.producer_id
                and header.producer_epoch == one.producer_epoch
                and header.is_control is (one.commit is not None)
            )
            if is_same:
                records = batch.records()
                if one.commit is not None:
                    is_same = (control_kind(records[0].key or b"") == COMMIT) is one.commit
                else:
                    values = tuple((record.value or b"").decode() for record in records)
                    is_same = values == one.values and header.base_sequence == one.sequence
            if not is_same:
                raise Broken(f"{log.partition} has {header}, written was {one[:-1]}")

    def _check_offsets(self, log: Log, here: list[Written]) -> None:
        for one in here:
            for offset in {one.first, one.last}:
                if offset < self.start:
                    continue
                (batch, *_) = log.batches(offset, 1, log.log_end_offset)
                if batch.header.base_offset != one.first:
                    raise Broken(
                        f"{log.partition}: looking for {offset} leads to {batch.header.base_offset}"
                    )

    def _check_indexes(self, log: Log) -> None:
        """Each entry names a batch."""
        for segment in log.segments:
            at = {position: header for position, header in segment.headers()}
            file, base = segment.indexes.offset_index.file, segment.base_offset
            for relative, position in _OFFSET.iter_unpack(file.entries()):
                if position not in at or at[position].last_offset != base + relative:
                    raise Broken(f"{file.path}: {base + relative} is not at {position}")
            file, before = segment.indexes.time_index.file, -1
            for timestamp, relative in _TIME.iter_unpack(file.entries()):
                upto = [h.max_timestamp for h in at.values() if h.last_offset <= base + relative]
                if timestamp <= before or not upto or max(upto) != timestamp:
                    raise Broken(f"{file.path}: {timestamp} is not the latest up to {relative}")
                before = timestamp

    def _check_times(self, log: Log, here: list[Written]) -> None:
        records = [
            (time, one.first + n)
            for one in here
            for n, time in enumerate(one.times)
            if one.first + n >= self.start
        ]
        latest, by_time = -1, []
        for time, offset in records:  # those that are later than all before: others are not found
            if time > latest:
                latest = time
                by_time.append((time, offset))
        for time, _ in records[::3]:
            for wanted in (time, time + 1):
                number = bisect_left(by_time, (wanted, -1))
                expected = by_time[number] if number < len(by_time) else None
                found = log.offset_for_timestamp(wanted)
                if (found[:2] if found else None) != expected:
                    raise Broken(f"{log.partition}: at {wanted} is {expected}, found {found}")

    def _check_producers(self, log: Log) -> None:
        state, wanted = log.producers, self.producers()
        if set(state.producers) != set(wanted):
            raise Broken(f"{log.partition} knows producers {set(state.producers)}, not {wanted}")
        for pid, known in wanted.items():
            producer = state.producers[pid]
            is_known = Known(producer.epoch, producer.last_sequence, producer.txn_first_offset)
            if is_known != known:
                raise Broken(f"{log.partition}: of producer {pid} {is_known}, not {known}")
        begun = sorted((known.begun, pid) for pid, known in wanted.items() if known.begun >= 0)
        if list(state.begun.items()) != begun:
            raise Broken(f"{log.partition}: open are {state.begun}, not {begun}")

    def _check_aborted(self, log: Log) -> None:
        aborted, end = self.aborted(), log.log_end_offset
        for start in {self.start, (self.start + end) // 2, max(self.start, end - 1)}:
            found = [one[:3] for one in log.aborted_transactions(start, end)]
            wanted = [one for one in aborted if one[2] >= start]
            if found != wanted:
                raise Broken(f"{log.partition}: aborted since {start} {found}, not {wanted}")
