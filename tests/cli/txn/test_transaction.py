"""What a transaction is, what comes next, and what it holds back."""
from __future__ import annotations

import pytest

from fastbroker.cli.txn.transaction import Producer, Transaction, held, next_step, of_answer
from fastbroker.group.backlog import Bounds
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsResponse

STATE = DescribeTransactionsResponse.TransactionState
T0, T1, T2 = (TopicPartition("t", n) for n in range(3))
OPEN = Transaction("pay", "Ongoing", 1, 7, 3, 60_000, 100_000, [T0, T1, T2])


def test_of_an_answer() -> None:
    answer = STATE(
        transactional_id="pay", transaction_state="Ongoing", transaction_timeout_ms=60_000,
        transaction_start_time_ms=100_000, producer_id=7, producer_epoch=3,
        topics=[STATE.TopicData(topic="t", partitions=[2, 0, 1])],
    )  # fmt: skip
    assert of_answer(1, answer) == OPEN
    answer.transaction_start_time_ms = -1
    assert of_answer(1, answer).started_ms is None


def test_the_age_is_that_of_an_open_transaction() -> None:
    assert OPEN.age_ms(103_000) == 3000
    assert OPEN.age_ms(99_000) == 0  # the coordinator's clock is ahead of ours
    assert OPEN._replace(state="PrepareAbort").age_ms(103_000) == 3000
    assert OPEN._replace(state="CompleteCommit").age_ms(103_000) is None
    assert OPEN._replace(started_ms=None).age_ms(103_000) is None


@pytest.mark.parametrize(
    ("state", "now_ms", "said"),
    [
        ("Ongoing", 130_000, "times out at 1970-01-01 00:02:40Z (in 30s) and is then aborted"),
        ("Ongoing", 165_000, "(5s ago: due at any moment)"),
        ("PrepareCommit", 130_000, "the coordinator has the commit written"),
        ("PrepareAbort", 130_000, "the coordinator has the abort written"),
        ("Empty", 130_000, "may begin another"),
        ("CompleteAbort", 130_000, "may begin another"),
    ],
)
def test_what_comes_next(state: str, now_ms: int, said: str) -> None:
    assert said in next_step(OPEN._replace(state=state), now_ms)


def test_a_state_that_is_not_known_here_says_nothing() -> None:
    assert next_step(OPEN._replace(state="New"), 0) == ""


def test_who_holds_back_is_the_oldest_open_transaction() -> None:
    mine, other = Producer(7, 3, 0, 0, 15), Producer(8, 0, 0, 0, 10)
    idle = Producer(9, 0, 0, 0, -1)
    bounds = {T0: Bounds(0, 15, 20), T1: Bounds(0, 10, 20)}
    first, second = held(OPEN, bounds, {T0: [idle, mine], T1: [mine, other]})
    assert (first.partition, first.first, first.by, first.records) == (T0, 15, mine, 5)
    assert (second.partition, second.first, second.by, second.records) == (T1, 15, other, 10)
    (unknown, _) = held(OPEN, bounds, {})
    assert (unknown.first, unknown.by, unknown.records) == (None, None, 5)
