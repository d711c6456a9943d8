"""What is known of a transactional id, as a value, and the transitions from one to the next.

Nothing here decides whether a request may have a transition: initialize.py and end.py do.
Kafka: TransactionMetadata, KIP-98, KIP-360, KIP-890.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from fastbroker.model import TopicPartition
from fastbroker.txn.state import PREVIOUS, State

NO_PRODUCER_ID, NO_EPOCH = -1, -1
# The epoch after the last one that a producer is given is kept for fencing it, and for its markers.
EPOCH_MAX = 32767
LAST_EPOCH = EPOCH_MAX - 1
NO_PARTITIONS: frozenset[TopicPartition] = frozenset()
BUMPS_EPOCHS = 2  # transaction.version from which every end of a transaction raises the epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Transaction:
    """One record of __transaction_state.

    previous_producer_id: of the state before; next_producer_id: what takes over when this
        transaction is complete, because its epochs are used up (TV2).
    last_producer_epoch: the one before producer_epoch if its owner may still ask with it (a retry
        of InitProducerId); not in the log, so a reload has -1 there, as in Kafka.
    start_ms: when the first partition was added, -1: never. updated_ms: of the last transition.
    client_version: transaction.version that the client of the last transition speaks.
    """

    producer_id: int
    producer_epoch: int
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    last_producer_epoch: int = NO_EPOCH
    timeout_ms: int
    state: State = State.EMPTY
    partitions: frozenset[TopicPartition] = NO_PARTITIONS
    start_ms: int = -1
    updated_ms: int
    client_version: int = 0

    def __post_init__(self) -> None:
        assert 0 <= self.producer_epoch <= EPOCH_MAX, f"epoch {self.producer_epoch}"
        assert self.producer_id >= 0, f"producer id {self.producer_id}"
        assert self.state is not State.EMPTY or not self.partitions, "an empty transaction"

    @property
    def bumps_epochs(self) -> bool:
        """Its client knows that every end of a transaction raises the epoch (TV2)."""
        return self.client_version >= BUMPS_EPOCHS

    @property
    def is_exhausted(self) -> bool:
        """No further epoch can be given to a producer under this producer id."""
        return self.producer_epoch >= LAST_EPOCH

    # ---- InitProducerId

    def initialized(self, *, timeout_ms: int, last_epoch: int, now_ms: int) -> Transaction:
        """The next epoch; last_epoch: whoever still has it may ask for this epoch again."""
        assert not self.is_exhausted
        return self._empty(
            self.producer_id,
            self.producer_epoch + 1,
            last_epoch=last_epoch,
            timeout_ms=timeout_ms,
            now_ms=now_ms,
        )

    def repeated(self, *, timeout_ms: int, now_ms: int) -> Transaction:
        """The same epoch once more, for whoever did not get the answer with it."""
        return self._empty(
            self.producer_id,
            self.producer_epoch,
            last_epoch=self.last_producer_epoch,
            timeout_ms=timeout_ms,
            now_ms=now_ms,
        )

    def rotated(
        self, producer_id: int, *, timeout_ms: int, is_last_known: bool, now_ms: int
    ) -> Transaction:
        """Another producer id, since the epochs of this one are used up."""
        return self._empty(
            producer_id,
            0,
            last_epoch=self.producer_epoch if is_last_known else NO_EPOCH,
            timeout_ms=timeout_ms,
            now_ms=now_ms,
        )

    def _empty(
        self, producer_id: int, epoch: int, *, last_epoch: int, timeout_ms: int, now_ms: int
    ) -> Transaction:
        return self._to(
            State.EMPTY,
            now_ms,
            producer_id=producer_id,
            producer_epoch=epoch,
            last_producer_epoch=last_epoch,
            timeout_ms=timeout_ms,
            partitions=NO_PARTITIONS,
            start_ms=-1,
        )

    # ---- a transaction

    def added(
        self, partitions: frozenset[TopicPartition], *, client_version: int, now_ms: int
    ) -> Transaction:
        """With more partitions; the first ones begin a transaction."""
        return self._to(
            State.ONGOING,
            now_ms,
            partitions=self.partitions | partitions,
            start_ms=self.start_ms if self.state is State.ONGOING else now_ms,
            client_version=client_version,
        )

    def fenced(self) -> Transaction:
        """As it is aborted on behalf of nobody: its producer's epoch is no longer valid.

        A step of TV1 on the way to `prepared`, never in the log. The last epoch of all is not
        raised.
        """
        assert self.state is State.ONGOING
        epoch = min(self.producer_epoch + 1, EPOCH_MAX)
        return replace(self, producer_epoch=epoch, last_producer_epoch=NO_EPOCH)

    def prepared(
        self,
        state: State,
        *,
        client_version: int,
        next_producer_id: int = NO_PRODUCER_ID,
        now_ms: int,
    ) -> Transaction:
        """Decided: PREPARE_COMMIT or PREPARE_ABORT.

        TV2: the markers carry the next epoch, which the producer goes on with; when that is the
        last, it goes on with `next_producer_id`, epoch 0. An abort without partitions begins now.
        """
        epoch, last_epoch = self.producer_epoch, self.last_producer_epoch
        if client_version >= BUMPS_EPOCHS:
            assert epoch < EPOCH_MAX or state is State.PREPARE_ABORT
            epoch, last_epoch = min(epoch + 1, EPOCH_MAX), epoch
        return self._to(
            state,
            now_ms,
            producer_epoch=epoch,
            last_producer_epoch=last_epoch,
            next_producer_id=next_producer_id,
            start_ms=now_ms if self.state.is_at_rest else self.start_ms,
            client_version=client_version,
        )

    def completed(self, now_ms: int) -> Transaction:
        """Every partition has its marker."""
        assert self.state.is_prepared
        is_commit = self.state is State.PREPARE_COMMIT
        producer_id, epoch = self.producer_id, self.producer_epoch
        if self.bumps_epochs and self.next_producer_id != NO_PRODUCER_ID:
            producer_id, epoch = self.next_producer_id, 0
        return self._to(
            State.COMPLETE_COMMIT if is_commit else State.COMPLETE_ABORT,
            now_ms,
            producer_id=producer_id,
            producer_epoch=epoch,
            next_producer_id=NO_PRODUCER_ID,
            partitions=NO_PARTITIONS,
        )

    def _to(self, state: State, now_ms: int, **changes: object) -> Transaction:
        assert self.state in PREVIOUS[state], f"{self.state.title} to {state.title}"
        return replace(
            self,
            state=state,
            previous_producer_id=self.producer_id,
            updated_ms=now_ms,
            **changes,  # type: ignore[arg-type]
        )
