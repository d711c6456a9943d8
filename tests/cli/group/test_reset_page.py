"""How a move of offsets is shown."""
from __future__ import annotations

from fastbroker.cli.group.description import Description
from fastbroker.cli.group.reset_page import as_json, page
from fastbroker.cli.group.targets import Move
from fastbroker.group.backlog import NO_COMMIT, Bounds
from fastbroker.model import TopicPartition

T = [TopicPartition("t", n) for n in range(4)]
MOVES = [
    Move(T[0], 5, 0),
    Move(T[1], 5, 9, "20 is past the end of the log"),
    Move(T[2], 5, 5),
    Move(T[3], NO_COMMIT, 9),
]
KNOWN = dict.fromkeys(T, Bounds(0, 9, 9))
GROUP = Description("g", "classic", "Empty", "consumer", "", 1, [])


def test_what_each_partition_skips_or_reads_again() -> None:
    assert page(GROUP, MOVES, KNOWN, width=None).splitlines() == [
        "g",
        "  topic  partition  before  after",
        "  t              0       5      0  reads 5 records again",
        "  t              1       5      9  skips 4 records; 20 is past the end of the log",
        "  t              2       5      5",
        "  t              3       -      9",
    ]


def test_a_group_that_there_is_not_yet_is_new() -> None:
    text = page(GROUP._replace(state="Dead"), MOVES, KNOWN, width=None)
    assert text.startswith("g (a new group)\n")


def test_json() -> None:
    shown = as_json("g", MOVES, is_done=True)
    assert (shown["group"], shown["executed"]) == ("g", True)
    assert [(one["before"], one["after"]) for one in shown["partitions"]] == [
        (5, 0), (5, 9), (5, 5), (None, 9),
    ]  # fmt: skip
