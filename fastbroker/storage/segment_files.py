"""What the files of a segment are called: Kafka's names."""
from __future__ import annotations

from collections.abc import Iterable

LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT, DELETED = (
    ".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".deleted",
)  # fmt: skip


def file_name(base_offset: int, suffix: str) -> str:
    """Kafka's name of a segment's file."""
    return f"{base_offset:020d}{suffix}"


def offsets_of(names: Iterable[str], suffix: str) -> list[int]:
    """The offsets in names such as 00000000000000000042.log."""
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return [int(stem) for stem in stems if stem.isdigit()]
