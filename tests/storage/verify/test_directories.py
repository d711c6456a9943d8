"""Log directories and data directories: checkpoints, identities, what does not belong there."""
from __future__ import annotations

import fcntl
import os
import pathlib
import random
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log_dir import LogDir, LogDirError
from fastbroker.storage.verify.finding import Finding, Severity
from fastbroker.storage.verify.judgement import Verdict
from fastbroker.storage.verify.opening import first_use
from fastbroker.storage.verify.tree import running_in, verify
from tests.storage.logs import NOW, append
from tests.storage.verify.damages import DAMAGES, do_damage

NODE = 7
IDS = {"t": bytes(range(16)), "u": bytes(range(1, 17))}
SEEDS = 120


class Start(NamedTuple):
    """How a broker started. ends: (log start, log end); None: of one that did not open."""

    failure: str
    ends: dict[str, tuple[int, int] | None]


def make_log_dir(path: pathlib.Path, *, is_clean: bool) -> str:
    """The log directory of a broker that has stopped, or was killed."""
    home = LogDir(str(path / f"broker-{NODE}"), disk=Disk(), node_id=NODE)
    home.open()
    home.join_cluster("AAAAAAAAAAAAAAAAAAAAAA")
    for topic, partitions in (("t", 2), ("u", 1)):
        for number in range(partitions):
            log = home.open_log(TopicPartition(topic, number), IDS[topic], TopicConfig(), NOW)
            for n in range(10):
                append(log, f"{n}", "more")
                if n == 5:
                    log.roll(NOW)
            log.flush()
            if log.save_when_due():
                log.epochs.synced()
            log.advance_start(3)
    home.write_high_watermarks({one: 20 for one in home.logs})
    if is_clean:
        home.close(5)
    else:
        home.write_recovery_points()
        home.write_log_starts()
        os.close(home._lock)
    return home.path


def start(path: str) -> Start:
    home = LogDir(path, disk=Disk(), node_id=NODE)
    try:
        home.open()
    except (LogDirError, ValueError, OSError) as error:
        return Start(str(error), {})
    ends: dict[str, tuple[int, int] | None] = {}
    for one in (TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0)):
        try:
            log = home.open_log(one, IDS[one.topic], TopicConfig(), NOW)
            first_use(log)
            ends[str(one)] = log.log_start_offset, log.log_end_offset
        except Exception:  # as the one who rehearses it
            ends[str(one)] = None
    os.close(home._lock)
    return Start("", ends)


def findings(path: pathlib.Path | str) -> list[Finding]:
    return [one for _, verdict in verify(Disk(), str(path)) for one in verdict.findings]


def snapshot(path: str) -> dict[str, bytes]:
    return {
        str(one): one.read_bytes() for one in pathlib.Path(path).rglob("*") if one.is_file()
    }


@pytest.mark.parametrize("is_clean", [True, False])
def test_nothing_is_wrong_with_a_good_one(tmp_path: pathlib.Path, is_clean: bool) -> None:
    path = make_log_dir(tmp_path, is_clean=is_clean)
    assert findings(tmp_path) == findings(path) == findings(os.path.join(path, "t-1")) == []


@pytest.mark.parametrize("is_clean", [True, False])
def test_damages_to_small_files_are_found(tmp_path: pathlib.Path, is_clean: bool) -> None:
    """Or nothing follows from them but numbers that might have been."""
    original = make_log_dir(tmp_path / "original", is_clean=is_clean)
    work = str(tmp_path / "work" / f"broker-{NODE}")
    shutil.copytree(original, work)
    whole = start(work)
    for seed in range(SEEDS):
        shutil.rmtree(work)
        shutil.copytree(original, work)
        dice = random.Random(seed)
        names = [one for one in os.listdir(work) if os.path.isfile(os.path.join(work, one))]
        file = pathlib.Path(work, dice.choice(sorted(set(names) - {".lock"})))
        data = file.read_bytes()
        damaged = dice.choice(DAMAGES)(file, data, dice)
        if damaged is None or damaged == data:
            continue
        file.write_bytes(damaged)
        what = f"seed {seed}: {file.name} {damaged!r}"
        before = snapshot(work)
        found = findings(work)
        assert snapshot(work) == before, f"{what}: it wrote"
        now = start(work)
        is_foretold = any("does not start" in one.remedy for one in found)
        assert bool(now.failure) == is_foretold, f"{what}: {now.failure} {found}"
        if not found:
            assert now.ends == whole.ends or is_possible(damaged), f"{what}: {now}"


def is_possible(data: bytes) -> bool:
    """Whether a checkpoint is whole, and only has other numbers."""
    lines = data.decode().split("\n")
    return lines[0] == "0" and len(lines) == int(lines[1]) + 3


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_partition_is_opened_as_its_broker_will(tmp_path: pathlib.Path, is_clean: bool) -> None:
    original = make_log_dir(tmp_path / "original", is_clean=is_clean)
    work = str(tmp_path / "work" / f"broker-{NODE}")
    for seed in range(SEEDS // 3):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(original, work)
        what = f"seed {seed}: {do_damage(pathlib.Path(work, 't-0'), random.Random(seed))}"
        verdict = dict(verify(Disk(), work))[f"{work}/t-0"]
        now = start(work)
        if verdict.opened is None or any("stray" in one.remedy for one in verdict.findings):
            continue
        assert not now.failure, what
        foretold = None if verdict.opened.failure else verdict.opened[1:]
        assert now.ends["t-0"] == foretold, what


def one_finding(path: str) -> Finding:
    (found,) = findings(path)
    return found


def test_a_log_that_is_shorter_than_its_recovery_point_has_lost_records(
    tmp_path: pathlib.Path,
) -> None:
    path = make_log_dir(tmp_path, is_clean=False)
    points = pathlib.Path(path, "recovery-point-offset-checkpoint")
    points.write_text(points.read_text().replace("t 1 20", "t 1 25"))
    found = one_finding(path)
    assert found.severity is Severity.DAMAGE
    assert found.fault.path.endswith("/t-1")
    assert "offsets 20..24 are missing" in found.fault.what


def test_a_log_start_behind_the_end_makes_the_log_begin_anew(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=False)
    starts = pathlib.Path(path, "log-start-offset-checkpoint")
    starts.write_text(starts.read_text().replace("u 0 3", "u 0 30"))
    found = findings(path)
    assert {one.severity for one in found} == {Severity.DAMAGE}
    assert "begins at offset 30" in found[0].fault.what
    assert start(path).ends["u-0"] == (30, 30)


def test_a_topic_id_that_is_not_the_topics(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=True)
    file = pathlib.Path(path, "t-0", "partition.metadata")
    file.write_text("version: 0\ntopic_id: nonsense\n")
    found = one_finding(path)
    assert found.severity is Severity.DAMAGE
    is_refused = start(path).ends["t-0"] is None
    is_stray = any(name.endswith("-stray") for name in os.listdir(path))
    assert ("does not open" in found.remedy) is is_refused
    assert ("as a stray one" in found.remedy) is is_stray
    assert is_refused or is_stray


def test_what_does_not_belong_there_is_noted(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=True)
    pathlib.Path(path, "notes.txt").write_text("x")
    pathlib.Path(path, "t-0", "notes.txt").write_text("x")
    pathlib.Path(path, "t-1", "00000000000000000000.log.deleted").write_text("x")
    os.mkdir(os.path.join(path, f"gone-0.{'a' * 32}-delete"))
    found = findings(path)
    assert {one.severity for one in found} == {Severity.NOTE}
    said = {os.path.basename(one.fault.path): one.remedy for one in found}
    assert said.pop("notes.txt")
    assert said == {
        "00000000000000000000.log.deleted": "removes it",
        f"gone-0.{'a' * 32}-delete": "removes it",
    }


def test_directories_of_other_clusters_and_nodes(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=True)
    other = tmp_path / "broker-8"
    shutil.copytree(path, other)
    meta = other / "meta.properties"
    found = findings(tmp_path)
    assert ["does not start" in one.remedy for one in found] == [True], found
    text = meta.read_text().replace(f"node.id={NODE}", "node.id=8")
    meta.write_text(text.replace("AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBA"))
    found = findings(tmp_path)
    assert ["cluster ids differ" in one.fault.what for one in found] == [True], found


@pytest.mark.parametrize("lock", ["flock", "lockf"])
def test_a_running_broker_is_seen_by_its_lock(tmp_path: pathlib.Path, lock: str) -> None:
    """Ours lock with flock, Java with fcntl; the lock stays as it was."""
    path = make_log_dir(tmp_path, is_clean=False)
    assert running_in(Disk(), str(tmp_path)) == []
    held = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+');"
        f"fcntl.{lock}(file, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", held, f"{path}/.lock"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        for near in (str(tmp_path), path, f"{path}/t-0"):
            assert running_in(Disk(), near) == [path]
        with open(f"{path}/.lock", "r+") as file, pytest.raises(BlockingIOError):
            getattr(fcntl, lock)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.communicate()
    assert running_in(Disk(), str(tmp_path)) == []


def test_what_is_being_written_is_no_fault(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=False)
    with open(f"{path}/t-0/00000000000000000012.log", "ab") as file:
        file.write(b"\0\0\0\0\0\0\0\x14 the half of a batch")
    assert [one.severity for one in findings(path)] == [Severity.REPAIR]
    with open(f"{path}/.lock", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert findings(path) == []


def test_verdicts_tell_of_ends(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=True)
    verdicts: dict[str, Verdict] = dict(verify(Disk(), path))
    assert {os.path.basename(one): verdict.end for one, verdict in verdicts.items()} == {
        "t-0": 20, "t-1": 20, "u-0": 20,
    }  # fmt: skip
    assert sum(verdict.tally.records for verdict in verdicts.values()) == 60


class CountingDisk(Disk):
    """Counts the files that are read as a whole."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def read_file(self, path: str) -> bytes:
        self.read.append(os.path.basename(path))
        return super().read_file(path)


def test_a_directory_is_opened_once_for_all_its_partitions(tmp_path: pathlib.Path) -> None:
    path = make_log_dir(tmp_path, is_clean=False)
    for name in ("t-0", "t-1", "u-0"):
        os.remove(os.path.join(path, name, "leader-epoch-checkpoint"))
    disk = CountingDisk()
    found = [one for _, verdict in verify(disk, path) for one in verdict.findings]
    assert [one.severity for one in found] == [Severity.REPAIR] * 3
    # By the check, and by the opening.
    assert disk.read.count("recovery-point-offset-checkpoint") == 2
