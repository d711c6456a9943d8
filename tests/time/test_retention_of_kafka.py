"""Our log rolls, retains and leaves the files that Apache Kafka did (record_retention.py)."""
from __future__ import annotations

import json
import os
import pathlib
import time
from typing import Any

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.opening import open_log
from fastbroker.storage.retention import next_due_ms
from tests.storage.logs import TP
from tests.time.retention_cases import (
    CASES,
    Case,
    batch_of,
    growing,
    listing,
    outcome,
    retaining,
)

RECORDED = json.loads(pathlib.Path(__file__).with_name("kafka_retention.json").read_text())


def grown(case: Case, path: pathlib.Path, now_ms: int) -> Log:
    config = TopicConfig.resolve(growing(case), None)
    log = open_log(str(path / "t-0"), disk=Disk(), partition=TP, config=config, now_ms=now_ms)
    for number in range(len(case.batches)):
        data = memoryview(bytearray(batch_of(case, number, now_ms)))
        log.append(data, leader_epoch=0, now_ms=now_ms, produce_version=9)
    return log


def files(log: Log) -> list[str]:
    """Those that are compared; Kafka has them from the start, we from the first batch on."""
    if not log.log_end_offset:
        assert not os.path.exists(log.directory)
        return ["00000000000000000000.log"]
    return listing(os.listdir(log.directory))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_same_is_left(case: Case, tmp_path: pathlib.Path) -> None:
    now_ms = int(time.time() * 1000)
    log = grown(case, tmp_path, now_ms)
    before = files(log)
    log.config = TopicConfig.resolve(growing(case) | retaining(case), None)
    if case.delete_to is not None:
        log.advance_start(log.log_end_offset if case.delete_to == -1 else case.delete_to)
    later = now_ms + 2000
    state: dict[str, Any] = {
        "log_start_offset": log.log_start_offset, "log_end_offset": log.log_end_offset,
        "high_watermark": log.log_end_offset, "config": log.config, "now_ms": later,
    }  # fmt: skip
    is_due = next_due_ms(log.segments, **state) <= later
    dropped = log.retain(later, log.log_end_offset)
    assert bool(dropped) == is_due
    left = files(log)
    found = outcome(before, left, log.log_start_offset, log.log_end_offset)
    assert found == RECORDED[case.name]
    state["log_start_offset"] = log.log_start_offset
    assert next_due_ms(log.segments, **state) > later
    assert log.retain(later, log.log_end_offset) == [], "a second look finds nothing more"


def test_every_case_is_recorded() -> None:
    assert {case.name for case in CASES} == set(RECORDED)
