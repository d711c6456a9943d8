"""How a transaction is shown."""
from __future__ import annotations

from fastbroker.cli.txn.page import as_json, page
from fastbroker.cli.txn.transaction import Held, Producer, Transaction
from fastbroker.group.backlog import Bounds
from fastbroker.model import TopicPartition

T0, T1, T2 = (TopicPartition("t", n) for n in range(3))
OPEN = Transaction("pay", "Ongoing", 1, 7, 3, 60_000, 100_000, [T0, T1, T2])
PARTS = [
    Held(T0, Bounds(0, 15, 20), 15, Producer(7, 3, 0, 0, 15)),
    Held(T1, Bounds(0, 10, 20), 15, Producer(8, 0, 0, 0, 10)),
    Held(T2, Bounds(0, 20, 20), None, None),
]


def test_an_open_transaction() -> None:
    text = page(OPEN, PARTS, address="h:1", now_ms=130_000, width=None)
    assert text.splitlines() == [
        "pay",
        "  state        Ongoing, open, neither committed nor aborted",
        "  next         times out at 1970-01-01 00:02:40Z (in 30s) and is then aborted, unless its "
        "producer ends it before",
        "  coordinator  1 at h:1",
        "  producer     7, epoch 3",
        "  timeout      1m",
        "  started      1970-01-01 00:01:40Z, 30s ago",
        "  topic  partition  begins at  last stable  end  held back  by",
        "  t              0         15           15   20          5  this one",
        "  t              1         15           10   20         10  producer 8, from 10 on",
        "  t              2          -           20   20          0",
    ]


def test_no_line_is_wider_than_the_terminal() -> None:
    long = TopicPartition("topic-" + "t" * 200, 0)
    parts = [PARTS[0]._replace(partition=long), PARTS[1]]
    for width in (80, 120):
        lines = page(OPEN, parts, address="h:1", now_ms=130_000, width=width).splitlines()
        assert max(map(len, lines)) <= width


def test_json_holds_everything() -> None:
    shown = as_json(OPEN, PARTS, address="h:1")
    assert (shown["state"], shown["started_ms"], shown["times_out_at_ms"]) == (
        "Ongoing", 100_000, 160_000,
    )  # fmt: skip
    assert [one["held_back"] for one in shown["partitions"]] == [5, 10, 0]
    assert [one["held_by_producer_id"] for one in shown["partitions"]] == [7, 8, None]
    assert as_json(OPEN._replace(state="Empty"), [], address="h:1")["times_out_at_ms"] is None
