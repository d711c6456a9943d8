"""What is inside a batch, against its header."""
from __future__ import annotations

from collections.abc import Iterator
from struct import Struct as Layout

from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    RecordWalk,
    decode_records,
)
from fastbroker.errors import CorruptMessage
from fastbroker.records.compression import decompress, pieces
from fastbroker.records.control import ABORT, COMMIT, KRAFT_VOTERS
from fastbroker.storage.verify.finding import Severity

_KEY = Layout(">hh")
_MARKER_BYTES = 6
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

Wrong = tuple[str, Severity]


def wrong_records(header: BatchHeader, data: memoryview) -> Iterator[Wrong]:
    """(what is wrong, what that is when it is left) with the records of a batch whose CRC is right.

    data: the whole batch. A batch that compaction has been at has fewer records than offsets.
    """
    span = header.last_offset_delta + 1
    if header.count > span:
        yield f"{header.count} records at {span} offsets", Severity.DAMAGE
        return
    try:
        if header.count == span and not header.is_control:
            walk = RecordWalk(header, lowest=_LOWEST, highest=_HIGHEST)
            for piece in pieces(header.codec, data[HEADER_BYTES:]):
                walk.feed(piece)
            walk.finish()
            latest = walk.max_timestamp
        else:
            body = decompress(header.codec, data[HEADER_BYTES:]) if header.count else b""
            found = decode_records(body, header.count)
            yield from _wrong_deltas([record[0] for record in found], span)
            times = [header.base_timestamp + record[1] for record in found]
            latest = max(times, default=header.max_timestamp)
            if header.is_control:
                yield from _wrong_control(header, [(key, value) for _, _, key, value, _ in found])
    except CorruptBatch as error:
        yield str(error), Severity.DAMAGE
        return
    except CorruptMessage as error:
        yield error.message, Severity.DAMAGE
        return
    if header.is_append_time or latest == header.max_timestamp:
        return
    what = f"the header has the largest timestamp {header.max_timestamp}, the records {latest}"
    yield what, Severity.DAMAGE if latest > header.max_timestamp else Severity.NOTE


def _wrong_deltas(deltas: list[int], span: int) -> Iterator[Wrong]:
    before = -1
    for number, delta in enumerate(deltas):
        if not before < delta < span:
            yield f"record {number} has the offset delta {delta}", Severity.DAMAGE
            return
        before = delta


def _wrong_control(
    header: BatchHeader, records: list[tuple[bytes | None, bytes | None]]
) -> Iterator[Wrong]:
    for key, value in records:
        if key is None or len(key) < _KEY.size:
            yield "a control record without a type", Severity.DAMAGE
            continue
        version, kind = _KEY.unpack_from(key)
        if version != 0 or not ABORT <= kind <= KRAFT_VOTERS:
            yield f"a control record of type {kind}, version {version}", Severity.NOTE
        if kind not in (ABORT, COMMIT):
            continue
        if value is None or len(value) < _MARKER_BYTES:
            yield "a marker without a coordinator epoch", Severity.DAMAGE
        if header.producer_id < 0 or not header.is_transactional:
            yield "a marker outside of a transaction", Severity.DAMAGE
