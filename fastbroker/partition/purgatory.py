"""Requests that wait for a partition: for an offset to be committed, or for data to be there."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

Committed = Callable[..., object]
Wake = Callable[[], object]


class Purgatory:
    """What waits for one partition. Bounded by what connections may have in flight.

    commits: (offset, callback, its arguments) in ascending order, called once the high watermark is
    at or above the offset. readers: woken at every change, until they leave.
    """

    __slots__ = ("commits", "readers")

    def __init__(self) -> None:
        self.commits: deque[tuple[int, Committed, tuple[Any, ...]]] = deque()
        self.readers: dict[object, Wake] = {}

    def await_commit(self, offset: int, committed: Committed, *args: Any) -> None:
        """`committed(*args)` when the high watermark reaches `offset`; offsets come in ascending
        order, but for repeats of what is still in flight."""
        commits = self.commits
        if not commits or commits[-1][0] <= offset:
            commits.append((offset, committed, args))
            return
        place = next(i for i, one in enumerate(commits) if one[0] > offset)
        commits.insert(place, (offset, committed, args))

    def await_data(self, reader: object, wake: Wake) -> None:
        """`wake()` at every change until `leave(reader)`."""
        self.readers[reader] = wake

    def leave(self, reader: object) -> None:
        self.readers.pop(reader, None)

    def advance(self, high_watermark: int) -> None:
        """The high watermark has moved."""
        commits = self.commits
        while commits and commits[0][0] <= high_watermark:
            _, committed, args = commits.popleft()
            committed(*args)
        if self.readers:
            self.wake_readers()

    def wake_readers(self) -> None:
        """Something has changed that a reader wants to know."""
        for wake in list(self.readers.values()):
            wake()

    def empty(self) -> None:
        """The partition has gone or has another leader: everybody looks again."""
        commits = list(self.commits)
        self.commits.clear()
        for _, committed, args in commits:
            committed(*args)
        self.wake_readers()
