from collections.abc import Sequence

from fastbroker._c.unflushed import Job

VERSION: int

class Frames:
    frames: list[tuple[int, bytes, list[tuple[int, int, int]]]]
    size: int
    next_sequence: int
    def __init__(
        self, jobs: Sequence[Job], *, run: bytes, sequence: int, frame_bytes: int
    ) -> None: ...
    def place(self, at: int) -> list[tuple[int, bytes, list[tuple[int, int, int]]]]: ...
