from collections.abc import Sequence
from enum import IntEnum

class Stage(IntEnum):
    QUEUE = 0
    APPEND = 1
    FLUSH = 2
    REPLICATE = 3
    WAIT = 4
    SEND = 5
    TOTAL = 6

class Meter:
    key: int
    version: int
    requests: int
    request_bytes: int
    response_bytes: int

class Histogram:
    total: int
    def __init__(self, bounds: Sequence[int]) -> None: ...
    def observe(self, value: int) -> None: ...
    def counts(self) -> bytes: ...

def latency_bounds() -> tuple[int, ...]: ...
def meter_of(key: int, version: int, waits: int) -> Meter: ...
def all_meters() -> list[Meter]: ...
def stage_of(meters: list[Meter], stage: int) -> tuple[bytes, int]: ...
