from collections.abc import Sequence

from fastbroker._c.record_batch import BatchHeader, CorruptBatch

Buffer = bytes | bytearray | memoryview

SLOT_BYTES: int
MORE: int
ASK: int
FULL: int

class DamagedBatch(CorruptBatch):
    at: int
    def __init__(self, text: str, at: int) -> None: ...

class OffsetMap:
    slots: int
    limit: int
    size: int
    latest_offset: int
    def __init__(self, *, slots: int, limit: int, seed: bytes) -> None: ...
    def get(self, key: Buffer) -> int: ...
    def advance(self, offset: int) -> None: ...
    def add(self, data: Buffer, at: int, start: int) -> tuple[int, int]: ...
    def add_body(self, body: Buffer, header: BatchHeader, start: int) -> bool: ...

class BatchFilter:
    base_offset: int
    size: int
    end_offset: int
    max_timestamp: int
    offset_of_max: int
    first_timestamp: int
    largest_batch: int
    records_read: int
    records_kept: int
    is_changed: bool
    def __init__(
        self,
        keys: OffsetMap,
        *,
        now_ms: int,
        horizon_ms: int,
        kept: Sequence[int],
        recodes: bool,
        base_offset: int,
        index_interval_bytes: int,
    ) -> None: ...
    @property
    def pending(self) -> int: ...
    def output(self) -> memoryview: ...
    def clear(self) -> None: ...
    def index_entries(self) -> bytes: ...
    def time_entries(self) -> bytes: ...
    def run(self, data: Buffer, at: int) -> tuple[int, int]: ...
    def keep(self, batch: Buffer) -> None: ...
    def replace(self, batch: Buffer, read: int, kept: int) -> None: ...
    def empty(self, batch: Buffer) -> None: ...
    def choose(
        self,
        body: Buffer,
        header: BatchHeader,
        *,
        all_of_them: bool = False,
        sets_horizon: bool = False,
    ) -> tuple[int, int, bool, bytes | None]: ...

def hash_of(seed: bytes, data: Buffer) -> bytes: ...
def crc_of(data: Buffer) -> int: ...
