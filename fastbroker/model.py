"""Words every floor shares: names of things, and `Deferred`, an answer that comes later."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

ZERO_UUID = bytes(16)
METADATA_TOPIC = "__cluster_metadata"
METADATA_TOPIC_ID = bytes(15) + b"\x01"
WORKER_STRIDE = 1000  # broker ids of one host: node, node + 1000, node + 2000, ...


class TopicPartition(NamedTuple):
    """A partition by topic name."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class OffsetAndEpoch(NamedTuple):
    """A position in a log together with the leader epoch it was written in; -1: unknown."""

    offset: int
    epoch: int


def broker_id(node_id: int, worker: int) -> int:
    """Broker id of worker `worker` (0-based) on node `node_id` (1..999)."""
    return node_id + WORKER_STRIDE * worker


class Deferred(Generic[T]):
    """A value or an error that arrives later, on the same event loop; completed exactly once.

    Callbacks run synchronously inside `complete` and `fail`, in the order they were added.
    It is asyncio's Future without a loop, so the pure floors can hand one out.
    """

    __slots__ = ("_callbacks", "done", "error", "value")

    def __init__(self) -> None:
        self.done = False
        self.value: T | None = None
        self.error: BaseException | None = None
        self._callbacks: list[Callable[[Deferred[T]], object]] = []

    def then(self, callback: Callable[[Deferred[T]], object]) -> None:
        """Call `callback(self)` once done; now, if it already is."""
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def complete(self, value: T) -> None:
        """Deliver `value`. Completing twice is our bug."""
        assert not self.done, "completed twice"
        self.value = value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Deliver `error` instead of a value."""
        assert not self.done, "completed twice"
        self.error = error
        self._finish()

    def result(self) -> T:
        """The value; raises the error. Only once done."""
        assert self.done
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]

    def _finish(self) -> None:
        self.done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class Holding(Deferred[T]):
    """An answer of a two-stage handler that holds its connection, so that the next request is not
    begun, until `let_go()` or until it is there."""

    __slots__ = ("_resume", "holds")

    def __init__(self) -> None:
        super().__init__()
        self.holds = True
        self._resume: Callable[[], object] | None = None

    def on_let_go(self, resume: Callable[[], object]) -> None:
        """`resume()` once the connection need not be held any more."""
        self._resume = resume

    def let_go(self) -> None:
        """The next request may begin; nothing when it may already."""
        if self.holds:
            self.holds = False
            if self._resume is not None:
                self._resume()

    def _finish(self) -> None:
        super()._finish()
        self.let_go()


class Timer(Protocol):
    """A pending call; cancelling one that ran does nothing."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """The clock of a process, passed to everything that waits.

    now_ms: wall clock, ms since the epoch (record timestamps, retention).
    monotonic_ms: never goes back (timeouts, sessions).
    """

    def now_ms(self) -> int: ...

    def monotonic_ms(self) -> int: ...

    def after(self, delay_ms: float, callback: Callable[..., Any], *args: Any) -> Timer: ...
