"""The process, or the power, ends at any step of a cleaning: the log is as before or as after."""
from __future__ import annotations

import os
import pathlib
import random
import shutil

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.log import Log
from fastbroker.storage.swap import finish_swaps
from tests.storage.compaction.cleanings import Kept, batches_of, clean, leftovers, records_of
from tests.storage.compaction.crashing_disk import CrashingDisk, PowerCut, QuickDisk
from tests.storage.compaction.scribe import Scribe
from tests.storage.compaction.test_against_model import check_reads, some_steps, states
from tests.storage.logs import open_log

CONFIG = TopicConfig(
    cleanup_policy=("compact",), delete_retention_ms=0, segment_bytes=1500, index_interval_bytes=100
)
IMAGES = 3  # of a power cut at one step


def written(path: pathlib.Path) -> int:
    """A log that was cleaned once already, closed; the first dirty offset."""
    log = open_log(path, CONFIG, disk=QuickDisk())
    scribe = Scribe(log)
    dice = random.Random(5)
    cleaned = 0
    for round_ in range(2):
        for step in some_steps(dice, 30):
            if step[0] in ("plain", "idempotent"):
                scribe.write(step[2], codec=step[1], pid=100 if step[0] == "idempotent" else -1)
            elif step[0] == "txn":
                scribe.write(step[3], codec=step[2], pid=step[1], in_txn=True)
            elif step[0] == "end":
                scribe.end(step[1], commit=step[2], bumps=step[3])
        for pid in range(3):
            if scribe.is_open(pid):
                scribe.end(pid, commit=pid != 1)
        scribe.roll()
        if round_ == 0:
            cleaned = clean(log, now=scribe.now)
    log.close()
    return cleaned


def opened(path: pathlib.Path, disk: CrashingDisk | None = None) -> Log:
    """All of it is below the recovery point, as it was when the cleaning began."""
    return open_log(path, CONFIG, recovery_point=10**9, disk=disk or QuickDisk())


class Stages:
    """What a reader may see: the log before, between groups, and after. known: of producers."""

    def __init__(self, path: pathlib.Path, cleaned: int) -> None:
        log = opened(path)
        self.known = states(log)
        self.seen: list[list[Kept]] = [records_of(log)]
        replace = log.replace

        def watched(*args: object) -> list[str]:
            retired: list[str] = replace(*args)  # type: ignore[arg-type]
            self.seen.append(records_of(log))
            return retired

        log.replace = watched  # type: ignore[method-assign, assignment]
        self.cleaned = clean(log, cleaned=cleaned, now=10**13)
        assert self.cleaned > cleaned
        self.aborted = log.aborted_transactions(0, log.log_end_offset)
        assert len(self.seen) > 2, "several groups are replaced"


def crashed(
    origin: pathlib.Path, work: pathlib.Path, cleaned: int, stop_at: int
) -> CrashingDisk | None:
    """A copy of the log, cleaned up to change `stop_at`; None: it came to its end."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(origin, work)
    disk = CrashingDisk(stop_at)
    log = opened(work, disk)
    disk.watch(log.directory)
    try:
        clean(log, cleaned=cleaned, now=10**13)
    except PowerCut:
        return disk
    return None


def check(path: pathlib.Path, stages: Stages, cleaned: int) -> None:
    """The log in `path` is one of the stages, whole, and can be cleaned to its end."""
    finish_swaps_twice(path)
    log = opened(path)
    found = records_of(log)
    assert found in stages.seen, "neither before nor after"
    assert not leftovers(log)
    assert states(log) == stages.known
    check_reads(log, batches_of(log))
    clean(log, cleaned=cleaned, now=10**13)
    # Markers and tombstones that were met before the crash may have gone now.
    assert values_of(records_of(log)) == values_of(stages.seen[-1])
    assert {*log.aborted_transactions(0, log.log_end_offset)} <= {*stages.aborted}


def values_of(records: list[Kept]) -> list[Kept]:
    return [one for one in records if not one.is_control and one.value is not None]


def finish_swaps_twice(path: pathlib.Path) -> None:
    """The opening is killed as well, at each of its steps in turn."""
    if not [name for name in os.listdir(path / "t-0") if name.endswith(".swap")]:
        return
    for stop_at in range(40):
        copy = path.with_name("opening")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        disk = CrashingDisk(stop_at)
        directory = str(copy / "t-0")
        disk.watch(directory)
        try:
            finish_swaps(disk, directory)
        except PowerCut:
            finish_swaps(CrashingDisk(), directory)
            assert not [name for name in os.listdir(directory) if name.endswith(".swap")]
            continue
        return
    raise AssertionError("finishing a swap takes fewer steps")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, int, Stages]:
    path = tmp_path_factory.mktemp("log")
    cleaned = written(path / "origin")
    shutil.copytree(path / "origin", path / "stages")
    return path / "origin", cleaned, Stages(path / "stages", cleaned)


def test_killed_at_every_step(
    tmp_path: pathlib.Path, origin: tuple[pathlib.Path, int, Stages]
) -> None:
    path, cleaned, stages = origin
    stop_at = 0
    while (disk := crashed(path, tmp_path / "work", cleaned, stop_at)) is not None:
        image = tmp_path / f"killed-{stop_at}" / "image"
        disk.crash_image(image / "t-0", None)
        check(image, stages, cleaned)
        shutil.rmtree(image.parent)
        stop_at += 1
    assert stop_at > 50


@pytest.mark.slow
def test_power_cut_at_every_step(
    tmp_path: pathlib.Path, origin: tuple[pathlib.Path, int, Stages]
) -> None:
    path, cleaned, stages = origin
    dice = random.Random(1)
    stop_at = 0
    while (disk := crashed(path, tmp_path / "work", cleaned, stop_at)) is not None:
        for number in range(IMAGES):
            image = tmp_path / f"cut-{stop_at}-{number}" / "image"
            disk.crash_image(image / "t-0", dice)
            check(image, stages, cleaned)
            shutil.rmtree(image.parent)
        stop_at += 1
    assert stop_at > 50
