from collections.abc import Iterable, Sequence

Buffer = bytes | bytearray | memoryview
RawRecord = tuple[Buffer | None, Buffer | None, Sequence[tuple[str, Buffer | None]], int]

HEADER_BYTES: int
LENGTH_END: int

class CorruptBatch(ValueError): ...

class BatchHeader:
    base_offset: int
    size: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int
    @property
    def last_offset(self) -> int: ...
    @property
    def codec(self) -> int: ...
    @property
    def is_append_time(self) -> bool: ...
    @property
    def is_transactional(self) -> bool: ...
    @property
    def is_control(self) -> bool: ...
    @property
    def has_delete_horizon(self) -> bool: ...
    @property
    def last_sequence(self) -> int: ...

def read_header(data: Buffer, at: int = 0) -> BatchHeader: ...
def crc_is_right(data: Buffer, header: BatchHeader, at: int = 0) -> bool: ...
def skip_batches(data: Buffer, offset: int) -> tuple[int, int]: ...
def whole_batches(data: Buffer) -> tuple[int, int]: ...
def stamp(data: Buffer, base_offset: int, leader_epoch: int, at: int = 0) -> None: ...
def stamp_max_timestamp(
    data: Buffer, timestamp: int, append_time: bool, at: int = 0
) -> None: ...
def assemble(
    body: Buffer,
    *,
    base_offset: int,
    leader_epoch: int,
    attributes: int,
    last_offset_delta: int,
    base_timestamp: int,
    max_timestamp: int,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    count: int,
) -> bytearray: ...

class RecordWalk:
    count: int
    max_timestamp: int
    out_of_range: list[int]
    keyless: list[int]
    def __init__(self, header: BatchHeader, *, lowest: int, highest: int) -> None: ...
    def feed(self, data: Buffer) -> None: ...
    def finish(self) -> None: ...

def encode_records(records: Iterable[RawRecord], base_timestamp: int) -> bytes: ...
def decode_records(
    body: Buffer, count: int
) -> list[tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]: ...
def floor_entry(data: Buffer, entries: int, width: int, key_bytes: int, key: int) -> int: ...
def sound_entries(data: Buffer, entries: int, width: int, key_bytes: int) -> int: ...
