"""A real broker under load loses power at random moments.

    pytest tests/powercut -s                               some moments, and brokers with bugs
    FASTBROKER_CUTS=1000 FASTBROKER_SEED=7 pytest tests/powercut -s -k acknowledged

One to a thousand partitions, plain, idempotent and transactional producers, groups, segments that
roll all the time, retention and deletions. Nothing that was acknowledged is lost, nothing is there
that was not sent, every index is right, and a broker starts by itself. Brokers that acknowledge too
early, and a disk that lies, are found out: the harness can tell.
"""
from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import asdict
from typing import NamedTuple

import pytest

from tests.broker_process import ROOT
from tests.powercut.run import Options, Outcome

CUTS = int(os.environ.get("FASTBROKER_CUTS", "60"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
ALL = ["plain", "idempotent", "transactional"]
FLUSH_NEVER = {"log.flush.interval.messages": 2**63 - 1}


class Kind(NamedTuple):
    """A run of all. share: of the cuts; images of many partitions take longer to look through."""

    name: str
    partitions: int
    kinds: list[str]
    share: float


FEW = [
    Kind("one", 1, ALL, 0.35),
    Kind("ten", 10, ALL, 0.4),
    Kind("hundred", 100, ALL, 0.25),
]
MANY = [
    Kind("one", 1, ALL, 0.14),
    Kind("one-plain", 1, ["plain"], 0.09),
    Kind("one-transactional", 1, ["transactional"], 0.1),
    Kind("ten", 10, ALL, 0.15),
    Kind("ten-idempotent", 10, ["idempotent"], 0.1),
    Kind("ten-transactional", 10, ["transactional"], 0.1),
    Kind("hundred", 100, ALL, 0.14),
    Kind("hundred-plain", 100, ["plain", "idempotent"], 0.1),
    Kind("thousand", 1000, ALL, 0.05),
    Kind("thousand-plain", 1000, ["plain", "idempotent"], 0.03),
]
FOUND_OUT_RUNS = 4
RUNS = FEW if CUTS < 500 else MANY
DONE: list[Outcome] = []  # by this process


def go(folder: pathlib.Path, options: Options) -> Outcome:
    """The run in its own name spaces; everything is undone when its first process ends."""
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    command += [sys.executable, "-m", "tests.powercut.run", str(folder)]
    command.append(json.dumps(asdict(options)))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.crash
@pytest.mark.timeout(120 + 2 * CUTS)
@pytest.mark.parametrize("kind", RUNS, ids=lambda kind: kind.name)
def test_what_was_acknowledged_is_there(kind: Kind, tmp_path: pathlib.Path) -> None:
    seed, cuts = SEED * 100 + RUNS.index(kind), max(1, round(CUTS * kind.share))
    options = Options(kind.partitions, cuts, seed, kinds=kind.kinds)
    outcome = go(tmp_path, options)
    DONE.append(outcome)
    print(f"\n{told(kind, options, outcome)}\n{total()}", flush=True)
    assert outcome.failed == 0, "\n".join(outcome.told)
    assert outcome.cuts == cuts
    assert outcome.checked > 10 * cuts, "hardly anything was acknowledged"


def told(kind: Kind, options: Options, outcome: Outcome) -> str:
    """One run in a line."""
    return (
        f"{kind.partitions} partitions, {'+'.join(kind.kinds)}, seed {options.seed}:"
        f" {outcome.acked} acked, {outcome.entries} writes and {outcome.flushes} flushes;"
        f" {outcome.cuts} cuts, {outcome.started} brokers started, {outcome.checked} acks checked:"
        f" lost {outcome.lost}, invented {outcome.invented}, wrong {outcome.wrong};"
        f" {outcome.ms_an_image:.0f} ms an image, {outcome.ms_a_start:.0f} ms a broker"
    )


def total() -> str:
    """All of them so far."""
    cuts, started = sum(one.cuts for one in DONE), sum(one.started for one in DONE)
    lost, invented = sum(one.lost for one in DONE), sum(one.invented for one in DONE)
    wrong, checked = sum(one.wrong for one in DONE), sum(one.checked for one in DONE)
    return (
        f"total: {cuts} cuts, {started} brokers started, {checked} acks checked: lost {lost},"
        f" invented {invented}, wrong {wrong}"
    )


@pytest.mark.crash
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "how",
    [
        {"settings": FLUSH_NEVER},
        {"main": "tests.powercut.planted.early_acks"},
        {"main": "tests.powercut.planted.early_decisions", "kinds": ["transactional"]},
        {"lies": 0.98},
    ],
    ids=["never-flushes", "early-acks", "early-decisions", "disk-that-lies"],
)
def test_who_acknowledges_too_early_is_found_out(
    how: dict[str, object], tmp_path: pathlib.Path
) -> None:
    # Whether a cut falls between an answer and the sync that it should have waited for is chance.
    for number in range(FOUND_OUT_RUNS):
        folder = tmp_path / str(number)
        folder.mkdir()
        options = Options(10, 28, SEED + number, seconds=1.5, starts=1000, **how)  # type: ignore[arg-type]
        outcome = go(folder, options)
        print(f"\n{how}: {outcome.failed} of {outcome.cuts} images have lost something", flush=True)
        if outcome.lost:
            return
    pytest.fail(f"nothing was lost in {FOUND_OUT_RUNS} runs: {outcome}")
