from collections.abc import Callable
from typing import Any

COLUMNS: int
ADDED_UP: int
MISSING: int

class PartitionScan:
    names: list[str]
    led: int
    under_replicated: int
    under_min_isr: int
    def __init__(
        self,
        partitions: list[Any],
        logs: dict[Any, Any],
        broker_id: int,
        most: int,
        min_isr: Callable[[str], int],
    ) -> None: ...
    def step(self, count: int) -> bool: ...
    def rows(self) -> list[tuple[str, bytes]]: ...
    def columns(self) -> list[bytes]: ...
    def folded(self) -> list[int]: ...
    def topic_sums(self) -> list[tuple[int, int, int]]: ...
