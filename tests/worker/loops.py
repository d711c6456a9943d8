"""Event loops under a test's control: what a worker's parts ask of theirs."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

CALLS_MAX = 3_000  # of what ends by itself


class InstantLoop:
    """An executor that runs at once."""

    def run_in_executor(self, _: object, call: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class SteppedLoop(asyncio.SelectorEventLoop):
    """A real loop that runs when told to; its executor runs at once. What a task raises is raised
    by `settle`."""

    def __init__(self) -> None:
        self._calls = self._begun = 0
        super().__init__()
        self._failed: BaseException | None = None
        self.set_exception_handler(self._note)

    def _note(self, _: object, context: dict[str, Any]) -> None:
        self._failed = context.get("exception") or AssertionError(context["message"])

    def _count(self) -> None:
        self._calls += 1
        assert self._calls - self._begun < CALLS_MAX, "this does not end"

    def call_soon(self, *args: Any, **how: Any) -> asyncio.Handle:
        self._count()
        return super().call_soon(*args, **how)

    def run_in_executor(self, _: object, call: Callable[..., Any], *args: Any) -> Any:
        self._count()  # a task that awaits what is done goes on at once, it may be for ever
        future = self.create_future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def settle(self) -> None:
        """Run until everything waits for something outside."""
        self._begun = before = self._calls
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if self._failed is not None:
                failed, self._failed = self._failed, None
                raise failed
            if self._calls == before + 1:
                return
            before = self._calls


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
