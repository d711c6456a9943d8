"""The checker finds each planted fault, by its name alone, and nothing in a right history."""
from __future__ import annotations

import copy
import json
import pathlib
import random

import pytest

from tests.history.checker import check
from tests.history.correct import correct_history
from tests.history.events import load
from tests.history.findings import told
from tests.history.planted import PLANTS, Plant

SEEDS = range(60)
LEAST = 15  # so many of the seeds have a place for each fault
HISTORIES = {seed: correct_history(seed) for seed in SEEDS}


def test_nothing_is_wrong_with_a_right_history() -> None:
    for seed in range(300):
        found = check(HISTORIES.get(seed) or correct_history(seed))
        assert not found, f"seed {seed}: {told(found)}"


@pytest.mark.parametrize(("kind", "plant"), PLANTS, ids=[plant.__name__ for _, plant in PLANTS])
def test_a_planted_fault_is_found(kind: str, plant: Plant) -> None:
    planted = 0
    for seed in SEEDS:
        events = copy.deepcopy(HISTORIES[seed])
        if not plant(events, random.Random(seed)):
            continue
        planted += 1
        found = check(events)
        assert {finding.kind for finding in found} == {kind}, f"seed {seed}: {told(found)}"
    assert planted >= LEAST, f"{planted} of {len(SEEDS)} histories had a place for it"


def test_files_are_one_history(tmp_path: pathlib.Path) -> None:
    events = HISTORIES[0]
    for process in {event["process"] for event in events}:
        lines = [json.dumps(event) + "\n" for event in events if event["process"] == process]
        (tmp_path / process).write_text("".join(lines) + '{"at": 1, "proc')  # it was killed
    assert len(load(tmp_path.iterdir())) == len(events)
    assert not check(load(sorted(tmp_path.iterdir())))


def test_what_is_no_event_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_text('nonsense\n{"at": 1}\n')
    with pytest.raises(ValueError, match="nonsense"):
        load(tmp_path.iterdir())
    with pytest.raises(ValueError, match="unknown event"):
        check([{"at": 1, "process": "p", "event": "dance"}])
