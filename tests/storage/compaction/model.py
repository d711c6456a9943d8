"""What one cleaning makes of batches, said as plainly as possible: the oracle of the tests."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastbroker.records.control import COMMIT, control_kind
from fastbroker.records.reader import Batch, Record
from tests.storage.compaction.scribe import Scribe


class Expected(NamedTuple):
    """A batch after a cleaning. horizon: None: it has none. must_stay: with no record left, too."""

    first: int
    last: int
    records: list[tuple[int, bytes | None, bytes | None, int]]
    horizon: int | None
    must_stay: bool


def cleaned(
    batches: Sequence[Batch], scribe: Scribe, *, first_dirty: int, end: int, reached: int,
    now: int, retention_ms: int,
) -> list[Expected]:  # fmt: skip
    """`batches` after a cleaning of [first_dirty, end) that came to offset `reached`."""
    latest: dict[bytes, int] = {}
    for header, data in batches:
        if header.is_control or _is_aborted(scribe, Batch(header, data)):
            continue
        for record in Batch(header, data).records():
            if record.key is not None and first_dirty <= record.offset < reached:
                latest[record.key] = record.offset
    producers = {
        pid: (one.batches[-1].last_offset if one.batches else -1, one.epoch)
        for pid, one in scribe.log.producers.producers.items()
    }
    met: set[int] = set()  # producers with a batch of the transaction that they are in
    out: list[Expected] = []
    for batch in batches:
        header = batch.header
        horizon = header.base_timestamp if header.has_delete_horizon else None
        records = batch.records()
        if header.base_offset >= end:
            out.append(_expected(batch, records, horizon, must_stay=True))
            continue
        last_offset, epoch = producers.get(header.producer_id, (-1, -1))
        is_last = header.producer_id >= 0 and header.last_offset == last_offset
        sets = False
        if header.is_control:
            has_none_left = header.producer_id not in met
            if records:
                met.discard(header.producer_id)
            is_last = last_offset < 0 and header.producer_epoch == epoch
            if records and has_none_left:
                sets = horizon is None
                if horizon is not None and horizon <= now and not is_last:
                    records = []
        else:
            if header.is_transactional:
                met.add(header.producer_id)
            if _is_aborted(scribe, batch):
                records = []
            records = [
                record
                for record in records
                if record.offset >= reached or _stays(record, latest, horizon, now)
            ]
            sets = horizon is None and any(record.value is None for record in records)
        if sets:
            horizon = now + retention_ms
        out.append(_expected(batch, records, horizon, must_stay=is_last))
    return out


def _stays(
    record: Record, latest: dict[bytes, int], horizon: int | None, now: int
) -> bool:
    if record.key is None or record.offset < latest.get(record.key, -1):
        return False
    return record.value is not None or horizon is None or now < horizon


def _is_aborted(scribe: Scribe, batch: Batch) -> bool:
    header = batch.header
    return header.is_transactional and scribe.was_aborted(header.producer_id, header.base_offset)


def _expected(
    batch: Batch, records: Iterable[Record], horizon: int | None, *, must_stay: bool
) -> Expected:
    rows = [(one.offset, one.key, one.value, one.timestamp) for one in records]
    header = batch.header
    if not rows:
        horizon = None
    return Expected(header.base_offset, header.last_offset, rows, horizon, must_stay)


def compare(found: Sequence[Batch], wanted: Sequence[Expected], ends: set[int]) -> None:
    """That `found` is what was `wanted`. ends: last offsets of segments, whose batches may stay."""
    left = {one.first: one for one in wanted}
    for batch in found:
        header = batch.header
        one = left.pop(header.base_offset)
        assert header.last_offset == one.last, "first and last offset never change"
        rows = [(row.offset, row.key, row.value, row.timestamp) for row in batch.records()]
        assert rows == one.records, f"the batch at {one.first}"
        assert header.count == len(rows)
        horizon = header.base_timestamp if header.has_delete_horizon else None
        assert horizon == one.horizon, f"the horizon of the batch at {one.first}"
        if rows and not header.is_append_time:
            assert header.max_timestamp == max(row[3] for row in rows)
        if not rows:
            assert one.must_stay or one.last in ends, f"the batch at {one.first} is of no use"
    lost = [one for one in left.values() if one.records or one.must_stay]
    assert not lost, f"lost: {lost}"


def final_values(scribe: Scribe, everything: Sequence[Batch]) -> dict[bytes, bytes]:
    """Key -> its last committed value, of all that was ever written; without deleted keys."""
    out: dict[bytes, bytes | None] = {}
    for batch in everything:
        header = batch.header
        if header.is_control or _is_aborted(scribe, batch):
            continue
        first_open = _first_open(scribe, header.producer_id)
        if header.is_transactional and header.base_offset >= first_open:
            continue
        for record in batch.records():
            if record.key is not None:
                out[record.key] = record.value
    return {key: value for key, value in out.items() if value is not None}


def _first_open(scribe: Scribe, pid: int) -> int:
    known = scribe.log.producers.producers.get(pid)
    if known is None or known.txn_first_offset < 0:
        return scribe.log.log_end_offset
    return known.txn_first_offset


def read_committed(scribe: Scribe, batches: Sequence[Batch], end: int) -> dict[bytes, bytes]:
    """Key -> value for a consumer of committed data up to `end`, as Kafka's clients filter it."""
    aborted = sorted(
        scribe.log.aborted_transactions(scribe.log.log_start_offset, end),
        key=lambda one: one.first_offset,
    )
    inside: set[int] = set()
    out: dict[bytes, bytes | None] = {}
    for batch in batches:
        header = batch.header
        if header.base_offset >= end:
            break
        while aborted and aborted[0].first_offset <= header.last_offset:
            inside.add(aborted.pop(0).producer_id)
        if header.is_control:
            for record in batch.records():
                if control_kind(record.key or b"") != COMMIT:
                    inside.discard(header.producer_id)
            continue
        if header.is_transactional and header.producer_id in inside:
            continue
        for record in batch.records():
            if record.key is not None:
                out[record.key] = record.value
    return {key: value for key, value in out.items() if value is not None}
