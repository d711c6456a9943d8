"""Committed offsets and where partitions stand, joined."""
from __future__ import annotations

from array import array

import pytest

from fastbroker.gateway import lag_rows
from fastbroker.gateway.lag_rows import Committed, Rows, Standing
from fastbroker.metrics.page import Page
from fastbroker.metrics.samples import MISSING
from fastbroker.storage.record_time import NOTHING
from tests.gateway.scrape import samples

NOW = 1_700_000_000_000
HOUR = 3_600_000
LAG, SECONDS = "kafka_consumergroup_lag", "fastbroker_consumergroup_lag_seconds"
LEFT = "fastbroker_consumergroup_lag_lost_in_seconds"
Told = dict[str, dict[tuple[str, ...], float]]
Row = tuple[int, int, int, int, int]  # start, end, first, last, size


def i32(*values: int) -> bytes:
    return array("i", values).tobytes()


def i64(*values: int) -> bytes:
    return array("q", values).tobytes()


def standing(*rows: Row, retention: tuple[int, int] = (-1, -1)) -> Standing:
    """Of one topic."""
    return Standing.of(*[i64(*column) for column in zip(*rows, strict=True)], [retention])


def one(offset: int, row: Row, *, retention: tuple[int, int] = (-1, -1)) -> dict[str, float]:
    """What is told of one partition, by family."""
    committed = Committed()
    committed.add({"t": (i32(0), i32(1))}, [("g", 1, [("t", i64(offset))])], 0)
    told = page(committed, {1: standing(row, retention=retention)})
    labels = ("g", "t", "0")
    return {name: values[labels] for name, values in told.items() if labels in values}


def page(committed: Committed, stand: dict[int, Standing]) -> Told:
    rows, made = Rows(len(committed.sums), NOW), Page()
    for broker, asked in committed.asked.items():
        rows.add(asked, stand.get(broker))
    rows.write(made, committed.sums)
    return samples(made.encode().decode())


def test_a_topic_whose_partitions_others_lead() -> None:
    committed = Committed()
    topics = {"t": (i32(0, 1, 2), i32(1, 1001, 1)), "u": (i32(5), i32(1001))}
    committed.add(topics, [("g", 2, [("t", i64(4, 5, -1)), ("u", i64(1))])], 3)
    assert {broker: asked.items for broker, asked in committed.asked.items()} == {
        1: [("t", i32(0, 2), i64(4, -1))], 1001: [("t", i32(1), i64(5)), ("u", i32(5), i64(1))],
    }  # fmt: skip
    assert (committed.members, committed.untold) == ({"g": 2}, 3)
    first = standing((0, 10, NOW - 5000, NOW - 5000, MISSING), (0, 9, *NOTHING, MISSING))
    second = Standing.of(
        i64(0, 0), i64(7, 1), i64(NOW - 1000, NOTHING.first), i64(NOW - 1000, NOTHING.last),
        i64(MISSING, MISSING), [(-1, -1), (-1, -1)],
    )  # fmt: skip
    told = page(committed, {1: first, 1001: second})
    assert told[LAG] == {
        ("g", "t", "0"): 6, ("g", "t", "1"): 2, ("g", "t", "2"): -1, ("g", "u", "5"): 0
    }
    assert told["kafka_consumergroup_lag_sum"] == {("g", "t"): 8, ("g", "u"): 0}
    assert told["kafka_consumergroup_current_offset_sum"] == {("g", "t"): 9, ("g", "u"): 1}
    assert told[SECONDS] == {("g", "t", "0"): 5, ("g", "t", "1"): 1, ("g", "u", "5"): 0}


def test_a_group_is_told_by_one_worker() -> None:
    committed = Committed()
    for offset in (3, 4):
        committed.add({"t": (i32(0), i32(1))}, [("g", 0, [("t", i64(offset))])], 0)
    assert list(committed.asked[1].offsets) == [3]


def test_a_leader_that_says_nothing_leaves_the_offset() -> None:
    committed = Committed()
    committed.add({"t": (i32(0, 1), i32(1, 1))}, [("g", 0, [("t", i64(3, -1))])], 0)
    told = page(committed, {})
    assert told["kafka_consumergroup_current_offset"][("g", "t", "0")] == 3
    assert told[LAG] == {("g", "t", "1"): -1}
    assert SECONDS not in told
    assert LAG not in one(3, (MISSING, MISSING, MISSING, MISSING, MISSING))


def test_what_was_deleted_unread_is_lag_and_lost() -> None:
    told = one(2, (5, 9, NOW - 7000, NOW - 7000, MISSING))
    assert (told[LAG], told["fastbroker_consumergroup_lost_records"], told[SECONDS]) == (7, 3, 7)
    told = one(2, (9, 9, *NOTHING, MISSING))
    assert (told[LAG], told["fastbroker_consumergroup_lost_records"], told[SECONDS]) == (7, 7, 0)


def test_past_the_end_there_is_no_lag() -> None:
    told = one(12, (0, 9, *NOTHING, MISSING))
    assert (told[LAG], told[SECONDS], LEFT in told) == (0, 0, False)


def test_a_record_of_the_future_has_no_age() -> None:
    assert one(1, (0, 9, NOW + 5, NOW + 5, MISSING))[SECONDS] == 0


@pytest.mark.parametrize("first", [MISSING, -1])
def test_an_age_that_is_not_known_is_not_told(first: int) -> None:
    told = one(1, (0, 9, first, first, MISSING), retention=(HOUR, -1))
    assert (told[LAG], SECONDS in told, LEFT in told) == (8, False, False)
    committed = Committed()
    committed.add({"t": (i32(0), i32(1))}, [("g", 1, [("t", i64(1))])], 0)
    told_of_all = page(committed, {1: standing((0, 9, first, first, MISSING))})
    assert told_of_all["fastbroker_consumergroup_lag_untimed_partitions"] == {(): 1}


def test_an_age_that_is_a_range_says_so() -> None:
    told = one(1, (0, 9, NOW - 5000, NOW - 2000, MISSING))
    assert told[SECONDS] == 5
    assert told["fastbroker_consumergroup_lag_seconds_uncertainty"] == 3


def test_when_retention_deletes_the_first_unread_record() -> None:
    row = (0, 100, NOW - 10_000, NOW - 10_000, 1000)
    assert one(50, row, retention=(HOUR, -1))[LEFT] == 3590
    assert one(50, row, retention=(5000, -1))[LEFT] == -5, "it is overdue"
    assert LEFT not in one(50, row)
    assert one(50, row, retention=(HOUR, 800))[LEFT] == 6, "see group/test_backlog.py"


def test_markers_alone_are_no_time() -> None:
    told = one(7, (0, 9, *NOTHING, MISSING), retention=(HOUR, 800))
    assert (told[LAG], told[SECONDS], LEFT in told) == (2, 0, False)


def test_beyond_so_many_rows_there_are_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_rows, "ROWS_MAX", 3)
    committed = Committed()
    groups = [(f"g{n}", 0, [("t", i64(1, 2))]) for n in range(3)]
    committed.add({"t": (i32(0, 1), i32(1, 1))}, groups, 0)
    rows = [(0, 9, *NOTHING, MISSING)] * 6
    stand = standing(*rows)
    told = page(committed, {1: stand._replace(retentions=stand.retentions * 3)})
    assert [labels[0] for labels in told[LAG]] == ["g0", "g0", "g1"]
    assert told["kafka_consumergroup_lag_sum"] == {(f"g{n}", "t"): 15 for n in range(3)}
    assert told["fastbroker_consumergroup_partitions_folded"] == {(): 3}
