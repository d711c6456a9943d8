"""A decision that is made again, from the beginning, once what it wanted is there.

Whatever happened meanwhile, the decision is made on the state that is in force when it is made.
"""
from __future__ import annotations

from collections.abc import Callable

from fastbroker.errors import ConcurrentTransactions, KafkaError
from fastbroker.model import Deferred, Timers
from fastbroker.txn.entry import Entry
from fastbroker.txn.transaction import Transaction

# Given a fresh producer id, or None: what follows, now or once it is written.
Attempt = Callable[[int | None], Deferred[Transaction] | Transaction]


class ProducerIdWanted(Exception):
    """The transition needs a fresh producer id: ask again with one."""


def attempted(attempt: Attempt, allocate: Callable[[], Deferred[int]]) -> Deferred[Transaction]:
    """What `attempt` leads to; one that wants a producer id is made again with one."""
    done: Deferred[Transaction] = Deferred()

    def allocated(answer: Deferred[int]) -> None:
        if answer.error is not None:
            done.fail(answer.error)
        else:
            try_with(answer.result())

    def try_with(fresh_id: int | None) -> None:
        try:
            result = attempt(fresh_id)
        except ProducerIdWanted:
            allocate().then(allocated)
        except KafkaError as error:
            done.fail(error)
        else:
            _pass_on(result, done)

    try_with(None)
    return done


def patient(
    attempt: Attempt, find: Callable[[], Entry | None], timers: Timers, *, within_ms: int
) -> Attempt:
    """`attempt`, made again at every transition of the id while it is told CONCURRENT_TRANSACTIONS,
    for `within_ms`.

    find(): the id's entry. For attempts that want no producer id.
    """

    def patiently(_: int | None) -> Deferred[Transaction] | Transaction:
        try:
            return attempt(None)
        except ConcurrentTransactions as error:
            return _Waiting(attempt, find, timers, within_ms, error).done

    return patiently


class _Waiting:
    """One attempt that waits; what it was told last is what it fails with when it is late."""

    def __init__(
        self,
        attempt: Attempt,
        find: Callable[[], Entry | None],
        timers: Timers,
        within_ms: int,
        told: KafkaError,
    ) -> None:
        self._attempt, self._find, self._told = attempt, find, told
        self._entry: Entry | None = None
        self.done: Deferred[Transaction] = Deferred()
        self._timer = timers.after(within_ms, self._late)
        self._wait()

    def _wait(self) -> None:
        self._entry = self._find()
        if self._entry is None or not self._entry.await_change(self._again):
            self._fail(self._told)

    def _again(self) -> None:
        try:
            result = self._attempt(None)
        except ConcurrentTransactions as error:
            self._told = error
            self._wait()
        except KafkaError as error:
            self._fail(error)
        else:
            self._timer.cancel()
            _pass_on(result, self.done)

    def _fail(self, error: KafkaError) -> None:
        self._timer.cancel()
        self.done.fail(error)

    def _late(self) -> None:
        if self._entry is not None:
            self._entry.forget(self._again)
        self._fail(self._told)


def _pass_on(result: Deferred[Transaction] | Transaction, done: Deferred[Transaction]) -> None:
    if not isinstance(result, Deferred):
        done.complete(result)
        return

    def written(write: Deferred[Transaction]) -> None:
        if write.error is not None:
            done.fail(write.error)
        else:
            done.complete(write.result())

    result.then(written)
