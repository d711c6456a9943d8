"""The map of a cleaning: keys of the dirty part -> their last offsets."""
from __future__ import annotations

from math import ceil
from typing import NamedTuple

from fastbroker._c.cleaner import ASK, FULL, SLOT_BYTES, OffsetMap
from fastbroker._c.record_batch import HEADER_BYTES, read_header
from fastbroker.errors import CorruptMessage
from fastbroker.records.compression import Buffer, pieces
from fastbroker.records.control import kind_of
from fastbroker.records.reader import Batch
from fastbroker.storage.compaction.source import ENOUGH, Use, damaged_at
from fastbroker.storage.compaction.transactions import CleanedTransactions

# What a compressed batch may expand to; more is not accepted from clients.
EXPANDED_BYTES_MAX = 256 << 20


class MapSize(NamedTuple):
    """memory_bytes: most that a map may take. load_factor: most of its slots that are used."""

    memory_bytes: int
    load_factor: float

    def new_map(self, offsets: int, seed: bytes) -> OffsetMap:
        """A map for `offsets` consecutive offsets, or as many keys as memory allows.

        No record shares its offset, so few offsets never need much.
        """
        slots = max(self.memory_bytes // SLOT_BYTES, 2)
        slots = min(slots, max(ceil(offsets / self.load_factor) + 1, 2))
        limit = min(max(int(slots * self.load_factor), 1), slots - 1)
        return OffsetMap(slots=slots, limit=limit, seed=seed)


def mapping(keys: OffsetMap, start: int, transactions: CleanedTransactions) -> Use:
    """Takes batches into `keys`, from offset `start` on; says ENOUGH when that is full.

    What was aborted is not taken: `transactions` are told of it before.
    """

    def use(data: bytes, position: int) -> int:
        at = 0
        while True:
            at, how = keys.add(data, at, start)
            if how == FULL:
                return ENOUGH
            if how != ASK:
                return at
            header = read_header(data, at)
            batch = Batch(header, memoryview(data)[at : at + header.size])
            if not _add(keys, batch, start, transactions, at):
                return ENOUGH
            at += header.size

    return use


def _add(
    keys: OffsetMap, batch: Batch, start: int, transactions: CleanedTransactions, at: int
) -> bool:
    """Whether the map had room."""
    header = batch.header
    try:
        if header.is_control:
            transactions.marker(header, kind_of(batch))
        elif not (header.is_transactional and transactions.is_aborted(header)):
            body = body_of(batch)
            if not keys.add_body(body, header, start):
                return False
    except CorruptMessage as error:
        raise damaged_at(at, error) from None
    keys.advance(header.last_offset)
    return True


def body_of(batch: Batch, limit: int = EXPANDED_BYTES_MAX) -> Buffer:
    """A batch's records, decompressed. Raises CorruptMessage."""
    body = batch.data[HEADER_BYTES:]
    if not batch.header.codec or not batch.header.count:
        return body
    found, total = [], 0
    for piece in pieces(batch.header.codec, body):
        total += len(piece)
        if total > limit:
            raise CorruptMessage(f"it expands to more than {limit} bytes")
        found.append(piece)
    return found[0] if len(found) == 1 else b"".join(found)
