"""Which segments may go, and when the next may; tests/time has what Kafka itself did."""
from __future__ import annotations

import pathlib
import random
from typing import Any

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.retention import NEVER, expired, next_due_ms
from fastbroker.storage.segment import Segment
from tests.storage.logs import NOW, append, open_log

HOUR = 3_600_000


class FakeDisk:
    """Knows when files were written."""

    def __init__(self, modified_ms: int = 0) -> None:
        self.modified = modified_ms

    def modified_ms(self, _: str) -> int:
        return self.modified


def segments(*sizes_and_times: tuple[int, int]) -> list[Segment]:
    """Ten records each; (bytes, largest timestamp, -1: none)."""
    made = []
    for number, (size, latest) in enumerate(sizes_and_times):
        segment = Segment(FakeDisk(), "d", 10 * number)  # type: ignore[arg-type]
        segment.size, segment.indexes.max_timestamp = size, latest
        made.append(segment)
    return made


def situation(made: list[Segment], **how: Any) -> dict[str, Any]:
    end = 10 * len(made)
    known = {"log_start_offset": 0, "log_end_offset": end, "high_watermark": end, "now_ms": NOW}
    own = {name: how.pop(name) for name in tuple(how) if name in known}
    return known | own | {"config": TopicConfig(**{"retention_ms": HOUR} | how)}


def gone(made: list[Segment], **how: Any) -> int:
    return expired(made, **situation(made, **how))


OLD, FRESH = (100, NOW - HOUR - 1), (100, NOW)


@pytest.mark.parametrize(
    ("made", "how", "count"),
    [
        ([OLD, OLD, FRESH], {}, 2),
        ([(100, NOW - HOUR), FRESH], {}, 0),
        ([OLD, OLD], {}, 2),
        ([OLD, (0, -1)], {}, 1),
        ([(0, -1)], {"retention_ms": 0}, 0),
        ([OLD, FRESH, OLD, FRESH], {}, 1),
        ([(100, NOW + 9 * HOUR), OLD, OLD], {}, 0),
        ([OLD, OLD, FRESH], {"high_watermark": 19}, 1),
        ([OLD, FRESH], {"retention_ms": -1}, 0),
        ([OLD, FRESH], {"cleanup_policy": ("compact",)}, 0),
        ([OLD, FRESH], {"cleanup_policy": ("compact", "delete")}, 1),
        ([FRESH, FRESH, FRESH], {"retention_bytes": 200}, 1),
        ([FRESH, FRESH, FRESH], {"retention_bytes": 201}, 0),
        ([FRESH, FRESH, FRESH], {"retention_bytes": 0}, 3),
        ([FRESH, FRESH], {"retention_bytes": 0, "cleanup_policy": ("compact",)}, 0),
        ([OLD, FRESH, FRESH], {"retention_bytes": 100}, 2),
        ([FRESH, FRESH, FRESH], {"log_start_offset": 19}, 1),
        ([FRESH, FRESH, FRESH], {"log_start_offset": 30}, 2),
        ([FRESH, FRESH], {"log_start_offset": 10, "cleanup_policy": ("compact",)}, 1),
        # The cleaner may leave a segment empty: what is behind it is not kept by that.
        ([OLD, (0, NOW - 2 * HOUR), OLD, FRESH], {}, 3),
        # Without a timestamp it is as old as its file.
        ([(100, -1), FRESH], {}, 1),
    ],
)  # fmt: skip
def test_what_may_go(made: list[tuple[int, int]], how: dict[str, Any], count: int) -> None:
    assert gone(segments(*made), **how) == count


def test_a_segment_without_timestamps_ages_from_its_last_write(tmp_path: pathlib.Path) -> None:
    made = segments((100, -1), FRESH)
    made[0].disk = FakeDisk(NOW - HOUR)  # type: ignore[assignment]
    assert gone(made) == 0
    assert next_due_ms(made, **situation(made)) == NOW + 1
    log = open_log(tmp_path, TopicConfig(retention_ms=HOUR))
    append(log, "x", at=-2)
    segment = log.segments[0]
    segment.indexes.max_timestamp = -1
    assert segment.latest_ms == log.disk.modified_ms(segment.path)


@pytest.mark.parametrize(
    ("made", "how", "due"),
    [
        ([OLD, FRESH], {}, NOW),
        ([FRESH, OLD], {}, NOW + HOUR + 1),
        ([(0, -1)], {}, NEVER),
        ([FRESH], {"high_watermark": 9}, NEVER),
        ([FRESH, FRESH], {"high_watermark": 10}, NOW + HOUR + 1),
        ([FRESH], {"retention_ms": -1}, NEVER),
        ([FRESH], {"retention_ms": NEVER}, NEVER),
        ([FRESH], {"cleanup_policy": ("compact",)}, NEVER),
        ([FRESH, FRESH], {"cleanup_policy": ("compact",), "log_start_offset": 10}, NOW),
    ],
)
def test_when_the_next_may_go(made: list[tuple[int, int]], how: dict[str, Any], due: int) -> None:
    shaped = segments(*made)
    assert next_due_ms(shaped, **situation(shaped, **how)) == due


@pytest.mark.parametrize("number", range(200))
def test_nothing_goes_before_it_is_due_and_something_then(number: int) -> None:
    chance = random.Random(number)
    made = segments(
        *(
            (chance.randrange(1, 100), NOW + chance.randrange(-3 * HOUR, HOUR))
            for _ in range(chance.randrange(1, 6))
        )
    )
    end = 10 * len(made)
    how: dict[str, Any] = {
        "high_watermark": chance.choice([end, end, chance.randrange(end + 1)]),
        "log_start_offset": 0,
        "retention_bytes": chance.choice([-1, chance.randrange(400)]),
        "cleanup_policy": chance.choice([("delete",), ("compact",), ("compact", "delete")]),
    }
    due = next_due_ms(made, **situation(made, **how))
    assert due >= NOW
    if due > NOW:
        assert gone(made, **how, now_ms=min(due, NOW + 9 * HOUR) - 1) == 0
    if due < NEVER:
        assert gone(made, **how, now_ms=due) > 0
    else:
        assert gone(made, **how, now_ms=NOW + 999 * HOUR) == 0


# ---- when a segment is rolled


def rolls(log: Any, values: int, **how: Any) -> list[int]:
    """Base offsets after appending one record at a time."""
    for n in range(values):
        append(log, "x" * 10, **({"at": NOW + n} | how))
    return [segment.base_offset for segment in log.segments]


def test_a_full_time_index_rolls(tmp_path: pathlib.Path) -> None:
    config = TopicConfig(segment_index_bytes=48, index_interval_bytes=0)
    # The first batch has no entry. The third entry is the last but the one that closing adds.
    assert rolls(open_log(tmp_path, config), 9) == [0, 4, 8]
    # Without ascending times the offset index fills first: six entries.
    (tmp_path / "b").mkdir()
    assert rolls(open_log(tmp_path / "b", config), 9, at=NOW) == [0, 7]


def test_a_compacted_log_rolls_in_time_to_be_compacted(tmp_path: pathlib.Path) -> None:
    lag = {"max_compaction_lag_ms": 1000}
    for name, policy, bases in [("c", ("compact",), [0, 1]), ("d", ("delete",), [0])]:
        (tmp_path / name).mkdir()
        log = open_log(tmp_path / name, TopicConfig(cleanup_policy=policy, **lag))
        append(log, "a", at=NOW)
        append(log, "b", at=NOW + 1001)
        assert [segment.base_offset for segment in log.segments] == bases
