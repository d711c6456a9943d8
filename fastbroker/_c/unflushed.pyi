from collections.abc import Sequence
from typing import Any

class Written:
    segment: Any
    position: int
    end: int
    def __init__(self, segment: Any, position: int) -> None: ...

class DirtyRange:
    file: Any
    base_offset: int
    position: int
    size: int
    end_offset: int

class Job:
    log: Any
    ranges: list[DirtyRange]
    paths: Sequence[str]
    directories: Sequence[str]
    offset: int
    number: int
    size: int
    largest: int
    batches: int
    may_be_journaled: bool
    def __init__(self, log: Dirty) -> None: ...

class Dirty:
    flushed_offset: int
    recovery_point: int
    since_ms: int
    opened_at: int
    written_bytes: int
    topic_id: bytes | None
    name: bytes
    _written: list[Written]
    _unsynced: dict[Any, int]
    _paths: set[str]
    _directories: set[str]
    _jobs: int
    _stale: int
    def __init__(self, name: bytes) -> None: ...
    @property
    def has_rolled(self) -> bool: ...
    def wrote(self, segment: Any, position: int, size: int, now_ms: int) -> None: ...
    def hand_out(self, job: Job, offset: int) -> None: ...
    def is_stale(self, job: Job) -> bool: ...
    def end(self, job: Job, *, is_journaled: bool = False) -> None: ...
