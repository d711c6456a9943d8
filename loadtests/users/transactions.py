"""A producer's transactions: begun, and committed after so many records."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Producer

if TYPE_CHECKING:
    from loadtests.users.producer import ProducerUser

INIT, COMMIT, ABORT = "transaction init", "transaction commit", "transaction abort"
BEGIN = "transaction begin"


class Transactions:
    """Those of one producer; `written` is the records of the one that is open."""

    def __init__(self, user: ProducerUser, producer: Producer) -> None:
        self._user, self._producer = user, producer
        self._initialised = self._open = False
        self.written = 0

    def ready(self, poll: Callable[[], int]) -> bool:
        """Make a transaction open that has room; whether that could be done.

        poll: counts delivery reports and returns how many records still wait for theirs. All have
            theirs before a commit, so that a commit's latency is that of the commit.
        """
        if not self._initialised:
            self._initialised = self._call(INIT, self._producer.init_transactions)
            if not self._initialised:
                self._user.pause()
                return False
        if self._open and self.written >= self._user.options.txn_records:
            if not self._user.wait_for(lambda: poll() == 0, self._user.options.timeout + 5):
                return False
            self._commit()
        if self._initialised and not self._open:
            try:
                self._producer.begin_transaction()  # asks nobody: neither blocks nor is timed
            except KafkaException as failure:
                self._user.recover(BEGIN, failure.args[0])
                return False
            self._open, self.written = True, 0
        return self._open

    def end(self) -> None:
        """Commit what is open; no record is under way any more."""
        if self._open:
            self._commit()

    def _commit(self) -> None:
        self._open = False
        if not self._call(COMMIT, self._producer.commit_transaction):
            self._call(ABORT, self._producer.abort_transaction)

    def _call(self, operation: str, call: Callable[[float], object]) -> bool:
        return self._user.timed(operation, call, self._user.options.timeout) is None
