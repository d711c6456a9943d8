"""Event loops under a test's control: what a worker's parts ask of theirs."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class InstantLoop:
    """An executor that runs at once."""

    def run_in_executor(self, _: object, call: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class TurnedLoop:
    """Calls wait until `turn`, however late they are to be."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.readers: dict[int, Callable[[], object]] = {}

    def call_soon(self, call: Callable[[], object]) -> None:
        self.soon.append(call)

    def call_later(self, _: float, call: Callable[..., object], *args: object) -> None:
        self.soon.append(lambda: call(*args))

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def turn(self) -> None:
        waiting, self.soon = self.soon, []
        for call in waiting:
            call()
