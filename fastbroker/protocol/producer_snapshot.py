"""The body of a .snapshot file: the state of idempotent and transactional producers."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, u32


class ProducerSnapshot(Struct, versions="1"):
    class ProducerEntry(Struct):
        producer_id: int = i64()
        epoch: int = i16()
        last_sequence: int = i32()
        last_offset: int = i64()
        offset_delta: int = i32()
        timestamp: int = i64()
        coordinator_epoch: int = i32()
        current_txn_first_offset: int = i64()

    crc: int = u32()
    producer_entries: list[ProducerEntry] = array(ProducerEntry)
