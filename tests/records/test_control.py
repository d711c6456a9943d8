"""Control records: markers written and read back, and what is none."""
from __future__ import annotations

import pytest

from fastbroker._c.record_batch import assemble, read_header
from fastbroker.errors import CorruptMessage
from fastbroker.records.builder import build_batch
from fastbroker.records.control import (
    ABORT,
    LEADER_CHANGE,
    EndTransactionMarker,
    control_key,
    control_kind,
    marker_batch,
    read_marker,
)
from fastbroker.records.reader import Batch, iter_batches

NOW = 1_700_000_000_000


def only(data: bytearray) -> Batch:
    (found,) = iter_batches(data)
    return found


@pytest.mark.parametrize("commit", [True, False])
def test_a_marker_is_read_back(commit: bool) -> None:
    marker = EndTransactionMarker(2**40, 32766, 7, commit, 2)
    found = only(marker_batch(marker, now_ms=NOW))
    header = found.header
    assert (header.is_control, header.is_transactional) == (True, True)
    assert (header.base_sequence, header.count, header.max_timestamp) == (-1, 1, NOW)
    assert read_marker(found) == marker._replace(transaction_version=0)


def test_a_batch_that_compaction_has_emptied_holds_none() -> None:
    data = assemble(
        b"", base_offset=5, leader_epoch=0, attributes=0x30, last_offset_delta=0,
        base_timestamp=NOW, max_timestamp=NOW, producer_id=1, producer_epoch=0, base_sequence=-1,
        count=0,
    )  # fmt: skip
    assert read_header(data).is_control
    assert read_marker(only(data)) is None


def test_other_control_records_are_no_markers() -> None:
    for key in (control_key(LEADER_CHANGE), b"", b"\0"):
        data = build_batch([(key, b"", (), NOW)], is_control=True)
        assert read_marker(only(data)) is None
    assert control_kind(b"\0\0\0") == -1


def test_a_marker_without_a_coordinator_epoch_is_corrupt() -> None:
    data = build_batch([(control_key(ABORT), b"\0\0", (), NOW)], is_control=True)
    with pytest.raises(CorruptMessage):
        read_marker(only(data))
