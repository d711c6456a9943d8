"""Both topics are written to, syncs are counted, and the verdicts follow from the figures."""
from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import pytest

from loadtests.durability.__main__ import create, verdicts
from loadtests.durability.syncs import Counted, counted, parse
from loadtests.durability.turns import CACHED, FLUSHED, Case, Turns
from loadtests.limit.build import compiled
from tests.broker_process import BrokerProcess

REPORT = """# started on Thu Nov 26 04:18:46 2026

17,,syscalls:sys_enter_fdatasync,1000,100.00,,
<not counted>,,syscalls:sys_enter_fsync,0,100.00,,
2,,syscalls:sys_enter_syncfs,1000,100.00,,
"""


def test_perf_is_understood() -> None:
    assert parse(REPORT) == {"fdatasync": 17, "fsync": 0, "syncfs": 2}


def test_a_command_that_fails_ends_it(tmp_path: pathlib.Path) -> None:
    process = [sys.executable, "-c", "raise SystemExit('no')"]
    with pytest.raises(SystemExit, match="no"):
        counted(process, 1, tmp_path, 20)


@pytest.mark.parametrize("profile", ["single", "many"])
def test_a_case_runs_against_a_broker(tmp_path: pathlib.Path, profile: str) -> None:
    load = compiled("load", tmp_path)
    with BrokerProcess(tmp_path / "data", workers=1) as broker:
        create(broker.port, [3])

        def generate(topic: str, told: dict[str, int]) -> Counted:
            given = [f"{name}={value}" for name, value in told.items()]
            command = [str(load), str(broker.port), "produce", topic, *given]
            return counted(command, broker.roles()["fb-worker-0"], tmp_path, 60)

        case = Case(profile, 3, records=2, connections=2, in_flight=4)
        turns = Turns(case, generate, tmp_path)
        turns.prepare(0.01)
        for number in range(2):
            turns.round(number)
        row = json.loads(json.dumps(turns.row()))
    assert (row["profile"], row["partitions"]) == (profile, 3)
    assert row["ratio"] > 0
    for side in (FLUSHED, CACHED):
        assert len(turns.found[side]) == 2
        assert all(found["batch_records"] == 2 for found in turns.found[side])
        for number in range(3):
            log = tmp_path / "data" / "broker-1" / f"{side}-3-{number}" / f"{0:020}.log"
            assert log.stat().st_size > 4096


def row(partitions: int, flushed: float, syncs: float | None) -> dict[str, Any]:
    return {
        "profile": "single",
        "partitions": partitions,
        "ratio": flushed / 1000,
        FLUSHED: {"records_per_s": flushed, "syncs_per_1000": syncs},
        CACHED: {"records_per_s": 1000.0},
    }


def test_verdicts() -> None:
    good = verdicts([row(1, 950, 6.0), row(1000, 900, 12.0)])
    assert "90% of the cached throughput (at 1000 partitions)" in good[0]
    assert [line.rpartition(": ")[2] for line in good] == ["reached", "reached"]
    bad = verdicts([row(1, 950, 6.0), row(1000, 899, 12.1)])
    assert [line.rpartition(": ")[2] for line in bad] == ["not reached", "not reached"]
    assert len(verdicts([row(1, 950, None), row(10, 950, None)])) == 1
