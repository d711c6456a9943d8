"""What a partition knows of transactional producers: every rule about batches and markers."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker._c.record_batch import read_header
from fastbroker.errors import (
    InvalidProducerEpoch,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
    TransactionCoordinatorFenced,
)
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.producer_state import (
    VERIFICATIONS_MAX,
    KeptBatch,
    ProducerState,
    Verification,
)
from fastbroker.storage.txn_index import AbortedTransaction
from tests.storage.logs import NOW, batch


class Story:
    """A producer state and where its log ends."""

    def __init__(self) -> None:
        self.state = ProducerState()
        self.end = 0

    def guard(
        self, pid: int = 1, epoch: int = 0, sequence: int = 0, *, own_epoch: bool = False
    ) -> Verification | None:
        return self.state.begin_verification(
            pid, epoch, base_sequence=sequence, own_epoch=own_epoch
        )

    def send(
        self, sequence: int = 0, *, pid: int = 1, epoch: int = 0, size: int = 1,
        guard: Verification | None = None, plain: bool = False,
    ) -> int:  # fmt: skip
        """A client's batch, transactional unless `plain`; its offset, -1: it is a repeat."""
        how: dict[str, Any] = {"producer_id": pid, "producer_epoch": epoch}
        how |= {"base_sequence": sequence, "is_transactional": not plain}
        header = read_header(batch(*["v"] * size, **how))
        if self.state.check(header, guard) is not None:
            return -1
        first, self.end = self.end, self.end + size
        self.state.appended(header, first, NOW)
        return first

    def begin(self, sequence: int = 0, **who: Any) -> int:
        """The first batch of a transaction, verified."""
        guard = self.guard(who.get("pid", 1), who.get("epoch", 0), sequence)
        return self.send(sequence, guard=guard, **who)

    def mark(
        self, *, pid: int = 1, epoch: int = 0, commit: bool = True, version: int = 1, by: int = 0
    ) -> AbortedTransaction | None:
        """The marker of coordinator epoch `by`."""
        marker = EndTransactionMarker(pid, epoch, by, commit, version)
        self.state.check_marker(marker)
        offset, self.end = self.end, self.end + 1
        return self.state.ended(marker, offset, NOW)

    @property
    def unstable(self) -> int | None:
        state = self.state
        return state.first_unstable_offset() if state.begun or state.late else None


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_first_batch_needs_its_guard_and_later_ones_none(story: Story) -> None:
    with pytest.raises(InvalidTxnState, match="no open transaction"):
        story.send()
    guard = story.guard()
    assert guard is not None
    assert story.send(guard=guard) == 0
    assert story.guard() is None, "it is open"
    assert story.send(1) == 1
    assert story.send(1) == -1, "a repeat needs nothing"


def test_another_guard_does_not_do(story: Story) -> None:
    guard = story.guard()
    assert story.guard(pid=2) is not guard
    with pytest.raises(InvalidTxnState):
        story.send(guard=story.guard(pid=2))
    assert story.send(guard=guard) == 0


def test_a_marker_makes_a_guard_void(story: Story) -> None:
    guard = story.guard()
    story.mark(commit=False)
    with pytest.raises(InvalidTxnState):
        story.send(guard=guard)
    renewed = story.guard()
    assert renewed is not guard
    assert story.send(guard=renewed) == 1


def test_a_guard_is_used_once(story: Story) -> None:
    guard = story.guard()
    story.send(guard=guard)
    story.mark()
    with pytest.raises(InvalidTxnState):
        story.send(1, guard=guard)


def test_batches_verified_together_begin_with_the_lowest_sequence(story: Story) -> None:
    guard = story.guard(sequence=7)
    assert story.guard(sequence=6) is guard
    assert story.guard(sequence=8) is guard
    with pytest.raises(OutOfOrderSequenceNumber, match="6 was expected"):
        story.send(7, guard=guard)
    assert story.send(6, guard=guard) == 0
    assert story.send(7, guard=guard) == 1


def test_of_an_unknown_producer_any_sequence_begins_but_with_an_epoch_of_its_own(
    story: Story,
) -> None:
    assert story.begin(41) == 0
    own = story.guard(pid=2, sequence=5, own_epoch=True)
    with pytest.raises(OutOfOrderSequenceNumber, match="0 was expected"):
        story.send(5, pid=2, guard=own)


def test_a_newer_epoch_takes_the_guard_over(story: Story) -> None:
    story.guard(epoch=0, sequence=3)
    guard = story.guard(epoch=1, sequence=8)
    assert guard is not None
    assert guard.lowest_sequence == 8
    story.guard(epoch=0, sequence=1)
    assert guard.lowest_sequence == 8, "the older one has no say any more"


def test_an_open_transaction_of_another_epoch_is_not_this_one(story: Story) -> None:
    story.begin()
    assert story.guard(epoch=1) is not None
    with pytest.raises(InvalidTxnState):
        story.send(0, epoch=1)


def test_a_plain_batch_in_an_open_transaction_is_refused(story: Story) -> None:
    story.begin()
    with pytest.raises(InvalidTxnState, match="outside"):
        story.send(1, plain=True)
    story.mark()
    assert story.send(1, plain=True) == 2


def test_a_fenced_epoch_gets_no_guard(story: Story) -> None:
    story.begin(epoch=5)
    with pytest.raises(InvalidTxnState):
        story.send(1, epoch=4)
    with pytest.raises(InvalidProducerEpoch):
        story.guard(epoch=4)


def test_an_epoch_may_be_fenced_while_it_is_verified(story: Story) -> None:
    story.send(epoch=4, plain=True)
    guard = story.guard(epoch=4)
    story.send(epoch=5, plain=True)
    with pytest.raises(InvalidProducerEpoch):
        story.send(1, epoch=4, guard=guard)


def test_sequences_go_on_over_a_marker_of_the_same_epoch(story: Story) -> None:
    story.begin(0, size=3)
    story.mark()
    with pytest.raises(OutOfOrderSequenceNumber, match="3 was expected"):
        story.begin(4)
    story.state.begin_verification(1, 0, base_sequence=3, own_epoch=False)
    assert story.begin(3) == 4


def test_after_a_marker_with_the_next_epoch_sequences_begin_at_zero(story: Story) -> None:
    story.begin(0, size=3)
    story.mark(epoch=1, version=2)
    with pytest.raises(OutOfOrderSequenceNumber, match="0 was expected"):
        story.begin(3, epoch=1)
    story.state.begin_verification(1, 1, base_sequence=0, own_epoch=True)
    assert story.begin(0, epoch=1) == 4


@pytest.mark.parametrize(
    ("version", "epoch", "is_open", "fits"),
    [
        (0, 3, True, True), (0, 2, True, False), (1, 3, True, True), (1, 4, True, True),
        (1, 3, False, True), (1, 2, False, False),
        (2, 4, True, True), (2, 3, True, False), (2, 3, False, True), (2, 2, False, False),
    ],
)  # fmt: skip
def test_a_marker_s_epoch(
    story: Story, version: int, epoch: int, is_open: bool, fits: bool
) -> None:
    story.begin(epoch=3)
    if not is_open:
        story.mark(epoch=3)
    if fits:
        story.mark(epoch=epoch, version=version)
        assert story.state.producers[1].epoch == epoch
        assert story.state.producers[1].txn_first_offset == -1
        return
    with pytest.raises(InvalidProducerEpoch):
        story.mark(epoch=epoch, version=version)
    assert (story.state.producers[1].txn_first_offset >= 0) is is_open


def test_the_coordinator_epoch_does_not_go_back(story: Story) -> None:
    story.begin()
    story.mark(by=7)
    story.begin(1)
    with pytest.raises(TransactionCoordinatorFenced):
        story.mark(by=6)
    story.mark(by=7)
    assert story.state.producers[1].coordinator_epoch == 7


def test_a_marker_without_a_transaction_changes_nothing_but_its_producer(story: Story) -> None:
    assert story.mark(pid=9, epoch=2, commit=False, by=4) is None
    producer = story.state.producers[9]
    assert (producer.epoch, producer.coordinator_epoch, producer.last_sequence) == (2, 4, -1)
    assert story.unstable is None


def test_what_is_unstable(story: Story) -> None:
    assert story.unstable is None
    story.send(pid=5, plain=True)
    assert story.unstable is None
    story.begin(pid=1)  # 1
    story.begin(pid=2)  # 2
    assert story.unstable == 1
    assert story.mark(pid=1, commit=False) == (1, 1, 3, 2)
    assert story.unstable == 1, "its marker is not below the high watermark"
    story.state.commit_below(3)
    assert story.unstable == 1
    story.state.commit_below(4)
    assert story.unstable == 2
    story.begin(pid=3)  # 4
    assert story.mark(pid=3) is None  # 5
    assert story.mark(pid=2, commit=False) == (2, 2, 6, 7)
    story.state.commit_below(6)
    assert story.unstable == 2
    story.state.commit_below(7)
    assert story.unstable is None
    assert not story.state.late


def test_a_coordinator_s_batch_has_no_sequence_but_all_other_rules(story: Story) -> None:
    def internal(epoch: int, guard: Verification | None, transactional: bool = True) -> None:
        header = read_header(
            batch("v", producer_id=1, producer_epoch=epoch, is_transactional=transactional)
        )
        story.state.check_internal(header, guard)
        story.state.appended(header, story.end, NOW)
        story.end += 1

    with pytest.raises(InvalidTxnState):
        internal(3, None)
    internal(3, story.guard(epoch=3, sequence=-1))
    internal(3, None)
    with pytest.raises(InvalidTxnState, match="outside"):
        internal(3, None, transactional=False)
    with pytest.raises(InvalidProducerEpoch):
        internal(2, None, transactional=False)
    assert story.unstable == 0
    assert story.mark(epoch=4, version=2, commit=False) == (1, 0, 2, 3)


def test_a_snapshot_holds_open_transactions_oldest_first(story: Story) -> None:
    story.begin(pid=2, size=2)  # 0
    story.begin(pid=1)  # 2
    story.begin(pid=3, epoch=6)  # 3
    story.mark(pid=3, epoch=7, version=2, by=9)  # 4
    story.state.producers = dict(sorted(story.state.producers.items()))  # not by age
    again = ProducerState.from_snapshot(story.state.snapshot())
    assert again is not None
    assert list(again.begun.items()) == [(0, 2), (2, 1)]
    assert again.first_unstable_offset() == 0
    for pid, producer in story.state.producers.items():
        loaded = again.producers[pid]
        for name in ("epoch", "coordinator_epoch", "txn_first_offset", "last_timestamp"):
            assert getattr(loaded, name) == getattr(producer, name), name
        assert list(loaded.batches) == list(producer.batches)
    assert again.snapshot() == story.state.snapshot()
    marker = EndTransactionMarker(2, 0, 9, False, 1)
    assert again.ended(marker, 5, NOW) == (2, 0, 5, 2)


def test_a_batch_without_a_sequence_survives_a_snapshot() -> None:
    state = ProducerState()
    header = read_header(batch("a", "b", producer_id=1, producer_epoch=0, is_transactional=True))
    state.appended(header, 10, NOW)
    again = ProducerState.from_snapshot(state.snapshot())
    assert again is not None
    assert list(again.producers[1].batches) == [KeptBatch(-1, -1, 10, 11, NOW)]


def test_who_has_an_open_transaction_is_never_forgotten(story: Story) -> None:
    story.begin()
    story.send(pid=2, plain=True)
    story.state.expire(NOW + 1)
    assert list(story.state.producers) == [1]
    story.mark()
    story.state.expire(NOW + 1)
    assert not story.state.producers


def test_guards_that_nobody_uses_go_at_the_second_expiry(story: Story) -> None:
    used, unused = story.guard(), story.guard(pid=2)
    story.state.expire(NOW)
    assert story.guard() is used
    story.state.expire(NOW)
    assert story.guard() is used
    assert story.guard(pid=2) is not unused


def test_guards_are_bounded(story: Story) -> None:
    first = story.guard(pid=0)
    for pid in range(1, VERIFICATIONS_MAX + 1):
        story.guard(pid=pid)
    assert story.guard(pid=VERIFICATIONS_MAX) is not None
    with pytest.raises(InvalidTxnState):
        story.send(pid=0, guard=first)
