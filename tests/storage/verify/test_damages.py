"""Any damage to a partition's files is found, and what the next start does about it is true.

Silence has to mean something: where nothing is found, whoever opens the log learns the same from it
as without the damage. The one thing that nothing tells of is that a log was longer, above the
recovery point of a broker that was not stopped.
"""
from __future__ import annotations

import pathlib
import random
import re
import shutil
from collections import Counter
from typing import Any

import pytest

from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.finding import Severity
from fastbroker.storage.verify.judgement import Verdict, verify_partition
from fastbroker.storage.verify.opening import Rehearsal, first_use
from tests.storage.verify.damages import (
    CONFIG,
    Sample,
    do_damage,
    make_sample,
    meaning,
    reopen,
)

SAMPLES = 6
DAMAGES = 40  # of each sample
Files = dict[str, bytes]


def files(directory: pathlib.Path) -> Files:
    return {one.name: one.read_bytes() for one in directory.iterdir()}


def meant(sample: Sample, directory: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """(why it does not open, what it means when it does)."""
    try:
        log = reopen(sample, directory)
        first_use(log)
    except Exception as error:  # as the one who rehearses it
        return str(error) or type(error).__name__, {}
    found: dict[str, Any] = {"end": (log.log_start_offset, log.log_end_offset)}
    try:
        found.update(meaning(log))
    except Exception as error:  # a batch cannot be read
        found["unreadable"] = str(error)
    return "", found


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("number", range(SAMPLES))
def test_a_damage_is_found_and_its_repair_foretold(
    tmp_path: pathlib.Path, number: int, is_clean: bool
) -> None:
    sample = make_sample(tmp_path / "sample", number, is_clean=is_clean)
    assert verify_partition(Disk(), str(sample.directory), sample.known).findings == []
    work = tmp_path / "work" / "t-0"
    shutil.copytree(sample.directory, work)
    failure, whole = meant(sample, work)
    assert not failure
    told: Counter[str] = Counter()
    for seed in range(DAMAGES):
        shutil.rmtree(work)
        shutil.copytree(sample.directory, work)
        what = f"seed {seed}: {do_damage(work, random.Random(f'{number} {seed}'))}"
        before = files(work)
        verdict = verify_partition(Disk(), str(work), sample.known)
        assert files(work) == before, f"{what}: it wrote"

        foretold = rehearsed(sample, work)
        failure, now = meant(sample, work)
        if not failure:
            assert foretold == files(work), f"{what}: another outcome was foretold"
        check_told(verdict, failure, now, what)
        differs = sorted(key for key in whole if whole[key] != now.get(key))
        worst = max((one.severity for one in verdict.findings), default=None)
        told["silent" if worst is None else worst.name] += 1
        if differs and (worst is None or worst is Severity.NOTE):
            assert is_shorter(sample, whole, now), f"{what}: {differs} and {verdict.findings}"
        if differs and worst is Severity.REPAIR:
            assert now["end"] != whole["end"], f"{what}: {differs} and {verdict.findings}"
    assert told["DAMAGE"] > 5, told


def rehearsed(sample: Sample, directory: pathlib.Path) -> Files | None:
    """The files as they would be; None: it does not open."""
    rehearsal = Rehearsal(Disk(), str(directory.parent))
    opened, stage = rehearsal.open(str(directory), sample.known, CONFIG), rehearsal.stage
    found = None
    if not opened.failure:
        paths = {name: str(directory / name) for name in stage.list(str(directory))}
        found = {name: stage.read_file(path) for name, path in paths.items()}
    rehearsal.close()
    return found


def is_shorter(sample: Sample, whole: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether all that differs is that the log ends earlier, above its recovery point."""
    point = sample.known.recovery_point
    shorter = point <= now["end"][1] < whole["end"][1] and not sample.known.is_clean
    return shorter and now["batches"] == whole["batches"][: len(now["batches"])]


def check_told(verdict: Verdict, failure: str, now: dict[str, Any], what: str) -> None:
    """What findings say in words is what happened."""
    if verdict.opened is None:
        return
    assert bool(verdict.opened.failure) == bool(failure), f"{what}: {verdict.opened} {failure}"
    if failure:
        assert all("does not open" in one.remedy for one in verdict.findings)
        return
    assert (verdict.opened.log_start_offset, verdict.opened.log_end_offset) == now["end"]
    for one in verdict.findings:
        path = pathlib.Path(one.fault.path)
        cut = re.match(r"cuts (\d+) bytes from position (\d+)", one.remedy)
        if cut:
            assert path.stat().st_size == int(cut[2]), f"{what}: {one}"
        if one.remedy.startswith("removes"):
            assert not path.exists(), f"{what}: {one}"
        gone = re.search(r"offsets (\d+)\.\.(\d+) go", one.remedy)
        if gone:
            assert now["end"][1] == int(gone[1]), f"{what}: {one}"
