"""Control records: written by brokers into the log, never shown to an application.

    key   := version:int16=0 type:int16
"""
from __future__ import annotations

from struct import Struct as Layout
from typing import NamedTuple

ABORT, COMMIT, LEADER_CHANGE, SNAPSHOT_HEADER, SNAPSHOT_FOOTER, KRAFT_VERSION, KRAFT_VOTERS = (
    range(7)
)
_KEY = Layout(">hh")


class EndTransactionMarker(NamedTuple):
    """The end of a producer's transaction in one partition."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    commit: bool
    transaction_version: int


def control_key(kind: int) -> bytes:
    """The key of a control record of type `kind`."""
    return _KEY.pack(0, kind)


def control_kind(key: bytes) -> int:
    """The type in a control record's key; -1 for a key that is none."""
    return int(_KEY.unpack_from(key)[1]) if len(key) >= _KEY.size else -1
