"""When the next segment begins."""
from __future__ import annotations

import pathlib

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.rolling import is_full, jitter_of
from tests.storage.logs import NOW, append, open_log


def test_a_segment_is_rolled_by_age(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, TopicConfig(segment_ms=1000))
    append(log, "a", now=NOW)
    append(log, "b", now=NOW + 1000)
    assert len(log.segments) == 1
    append(log, "c", now=NOW + 1001)
    assert [segment.base_offset for segment in log.segments] == [0, 2]


def test_timestamps_that_go_back_roll_nothing(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, TopicConfig(segment_ms=1000))
    append(log, "first", now=NOW)
    append(log, "from long ago", at=NOW - 10**9, now=NOW)
    append(log, "just after", at=NOW + 1000, now=NOW)
    assert len(log.segments) == 1
    append(log, "later", at=NOW + 1001, now=NOW)
    assert len(log.segments) == 2


def test_rolls_by_time_are_spread_by_the_jitter(tmp_path: pathlib.Path) -> None:
    config = TopicConfig(segment_ms=1000, segment_jitter_ms=900)
    log = open_log(tmp_path, config)
    append(log, "first", now=NOW)

    def rolls(directory: str, after_ms: int) -> bool:
        return is_full(
            log.segments[0], 10, last_offset=1, max_timestamp=NOW + after_ms, config=config,
            jitter=jitter_of(directory), now_ms=NOW,
        )  # fmt: skip

    rolled = {next(ms for ms in range(1002) if rolls(f"t-{n}", ms)) for n in range(20)}
    assert min(rolled) > 100
    assert len(rolled) > 10
