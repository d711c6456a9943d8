"""How a lag is shown."""
from __future__ import annotations

from fastbroker.cli.group.backlog import total
from fastbroker.cli.group.lag_page import as_json, page, summary
from fastbroker.group.backlog import NO_COMMIT, Bounds, Unread
from fastbroker.model import TopicPartition

PARTS = [
    Unread(TopicPartition("t", 0), 5, Bounds(0, 9, 12), records=7, behind_ms=70_000, held=3,
           deleted_in_ms=3_600_000),
    Unread(TopicPartition("t", 1), 9, Bounds(0, 9, 9), records=0, behind_ms=0),
    Unread(TopicPartition("t", 2), NO_COMMIT, Bounds(0, 9, 9)),
    Unread(TopicPartition("t", 3), NO_COMMIT, Bounds(0, 9, 9)),
    Unread(TopicPartition("u", 0), 5, Bounds(50, 60, 60), records=55, lost=45, behind_ms=5,
           deleted_in_ms=0, is_estimate=True),
    Unread(TopicPartition("v", 0), 5, problem="v-0 has no leader now"),
]  # fmt: skip


def test_partitions_their_sum_and_what_is_not_in_order() -> None:
    assert page("g", PARTS, width=None).splitlines() == [
        "g",
        "  topic  partition  committed  end  lag  behind  deleted in",
        "  t              0          5   12    7  1m 10s  1h",
        "  t              1          9    9    0  0s      -",
        "  t              2          -    9    -  -       -",
        "  t              3          -    9    -  -       -",
        "  u              0          5   60   55  5ms     any time",
        "  v              0          5    -    -  -       -",
        "  total          -          -    -   62  1m 10s  any time",
        "  t:0: an open transaction holds back 3 records; see: fastbroker txn list, or "
        "fastbroker txn hanging",
        "  t:2-3: nothing committed here; its readers begin where auto.offset.reset says",
        "  u:0: already lost 45 records, deleted before the group read them",
        "  v:0: v-0 has no leader now",
    ]


def test_a_line_a_group() -> None:
    totals = [("g", total(PARTS)), ("idle", total([])), ("new", total(PARTS[2:4]))]
    assert summary(totals, width=None).splitlines() == [
        "group  partitions  lag  behind  deleted in  note",
        "g               6   62  1m 10s  any time    "
        "lost 45 records, 2 not committed, 1 without an answer",
        "idle            0    -  -       -",
        "new             2    -  -       -           2 not committed",
    ]


def test_a_group_without_commits() -> None:
    assert page("g", [], width=None) == "g: nothing committed"


def test_an_estimate_says_so() -> None:
    one = PARTS[4]._replace(deleted_in_ms=5000)
    assert "~5s" in page("g", [one], width=None)


def test_json_tells_the_unknown_from_nothing() -> None:
    shown = as_json("g", PARTS)
    assert (shown["lag"], shown["lost"], shown["behind_ms"]) == (62, 45, 70_000)
    assert (shown["uncommitted_partitions"], shown["unknown_partitions"]) == (2, 1)
    assert [one["lag"] for one in shown["partitions"]] == [7, 0, None, None, 55, None]
    assert shown["partitions"][5]["problem"] == "v-0 has no leader now"
