"""What a transaction is, what comes next, and what it holds back. Pure: values in, values out."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastbroker.cli.durations import duration, moment
from fastbroker.group.backlog import Bounds
from fastbroker.model import TopicPartition

EMPTY, ONGOING = "Empty", "Ongoing"
PREPARE_COMMIT, PREPARE_ABORT = "PrepareCommit", "PrepareAbort"
COMPLETE_COMMIT, COMPLETE_ABORT = "CompleteCommit", "CompleteAbort"
STATES = (
    EMPTY, ONGOING, PREPARE_COMMIT, PREPARE_ABORT, COMPLETE_COMMIT, COMPLETE_ABORT,
    "PrepareEpochFence", "Dead",
)  # fmt: skip
# What a state means to somebody who has not read the protocol.
MEANINGS = {
    EMPTY: "its producer was given an epoch; no transaction is open",
    ONGOING: "open, neither committed nor aborted",
    PREPARE_COMMIT: "committed; its partitions are being told",
    PREPARE_ABORT: "aborted; its partitions are being told",
    COMPLETE_COMMIT: "the last transaction was committed; none is open",
    COMPLETE_ABORT: "the last transaction was aborted; none is open",
    "PrepareEpochFence": "open, and its producer was just fenced",
    "Dead": "the id expired",
}


class Transaction(NamedTuple):
    """What the coordinator, a broker, knows of a transactional id.

    started_ms: when the open transaction began; None: none is open.
    """

    transactional_id: str
    state: str
    coordinator: int
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    started_ms: int | None
    partitions: Sequence[TopicPartition]

    @property
    def is_open(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in (ONGOING, PREPARE_COMMIT, PREPARE_ABORT)

    def age_ms(self, now_ms: int) -> int | None:
        """How long it has been open; None: it is not."""
        if not self.is_open or self.started_ms is None:
            return None
        return max(0, now_ms - self.started_ms)


def of_answer(node: int, answer: Any) -> Transaction:
    """From one transaction of a DescribeTransactions response."""
    started = answer.transaction_start_time_ms
    return Transaction(
        transactional_id=answer.transactional_id,
        state=answer.transaction_state,
        coordinator=node,
        producer_id=answer.producer_id,
        producer_epoch=answer.producer_epoch,
        timeout_ms=answer.transaction_timeout_ms,
        started_ms=started if started > 0 else None,
        partitions=sorted(
            TopicPartition(topic.topic, one) for topic in answer.topics for one in topic.partitions
        ),
    )


def next_step(one: Transaction, now_ms: int) -> str:
    """What happens next, and when."""
    if one.state == ONGOING and one.started_ms is not None:
        end = one.started_ms + one.timeout_ms
        left = end - now_ms
        when = f"in {duration(left)}" if left > 0 else f"{duration(-left)} ago: due at any moment"
        return (
            f"times out at {moment(end)} ({when}) and is then aborted, "
            "unless its producer ends it before"
        )
    if one.state in (PREPARE_COMMIT, PREPARE_ABORT):
        what = "commit" if one.state == PREPARE_COMMIT else "abort"
        return f"the coordinator has the {what} written to the partitions below until all have it"
    if one.state in (EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT):
        return "its producer may begin another transaction; an unused id is forgotten in the end"
    return ""


class Producer(NamedTuple):
    """A producer as a partition's leader knows it; start_offset: of its open transaction, or -1."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    last_time_ms: int
    start_offset: int


class Held(NamedTuple):
    """What a partition's readers of committed records are kept from.

    first: where the transaction begins in it, None when it has not written there or the leader does
    not say; by: the producer whose transaction the last stable offset waits for, and its offset.
    """

    partition: TopicPartition
    bounds: Bounds
    first: int | None
    by: Producer | None

    @property
    def records(self) -> int:
        """How many records are held back, by whomever."""
        return self.bounds.end - self.bounds.stable


def held(
    one: Transaction,
    bounds: Mapping[TopicPartition, Bounds],
    producers: Mapping[TopicPartition, Sequence[Producer]],
) -> list[Held]:
    """What is held back in each partition of a transaction whose bounds are known."""
    out = []
    for partition in one.partitions:
        if partition not in bounds:
            continue
        is_open = [each for each in producers.get(partition, ()) if each.start_offset >= 0]
        mine = [each.start_offset for each in is_open if each.producer_id == one.producer_id]
        first = min(is_open, key=lambda each: each.start_offset, default=None)
        out.append(Held(partition, bounds[partition], mine[0] if mine else None, first))
    return out
