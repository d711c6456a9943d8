"""Parts of the harness by themselves: the schedule, processes that are struck, progress."""
from __future__ import annotations

import json
import pathlib
import random
import sys
from collections.abc import Mapping, Sequence

import pytest

from tests.broker_process import wait_until
from tests.eos.faults import schedule
from tests.eos.instances import FENCED, Instance
from tests.eos.journal import Journal
from tests.eos.progress import Progress
from tests.history.events import load

TARGETS = {"fb-worker-0": 3, "everything": 1}


def test_a_schedule_is_its_seed_s() -> None:
    first, again, other = (list(schedule(random.Random(s), 40, 3, TARGETS)) for s in (1, 1, 2))
    assert first == again != other
    kinds = [fault.kind for fault in first]
    assert set(kinds[:5]) == {"kill", "zombie", "replaced zombie", *TARGETS}, "each comes once"
    assert {fault.instance for fault in first} == {0, 1, 2}
    assert all(fault.lasts_s >= 10 for fault in first if "zombie" in fault.kind)


def instance(tmp_path: pathlib.Path, *programs: str) -> Instance:
    """Its lives are these programs, the last one again and again."""
    left = list(programs)

    def command(*_: object) -> tuple[Sequence[str], Mapping[str, str]]:
        program = left.pop(0) if len(left) > 1 else left[0]
        return [sys.executable, "-c", program], {}

    return Instance("one", tmp_path, command)


WAITS = "import time; time.sleep(60)"


def test_a_killed_instance_is_gone(tmp_path: pathlib.Path) -> None:
    one = instance(tmp_path, WAITS)
    one.start()
    assert one.life is not None
    first = one.life
    assert "is gone" in one.kill()
    assert first.process.returncode == -9
    one.start()
    assert one.life.name == "one.1"
    one.end(kindly=True)
    assert one.life is None


def test_a_frozen_instance_goes_on_or_is_another(tmp_path: pathlib.Path) -> None:
    one = instance(tmp_path, WAITS)
    one.start()
    zombie = one.freeze()
    assert one.life is None
    one.start()
    one.thaw(zombie, take_back=False)
    assert one.zombies == [zombie]
    assert one.bury() == 1
    zombie = one.freeze()
    one.thaw(zombie, take_back=True)
    assert one.life is zombie
    one.end(kindly=False)


def test_a_fenced_instance_is_started_again_and_a_failed_one_is_told(
    tmp_path: pathlib.Path,
) -> None:
    one = instance(tmp_path, f"raise SystemExit({FENCED})", "raise SystemExit('no good')")
    one.start()

    def second() -> bool:
        one.look()
        return one.lives == 2

    wait_until(second, 10, "the second life")
    assert one.fenced == 1
    assert one.life is not None
    one.life.process.wait(10)
    with pytest.raises(AssertionError, match="no good"):
        one.look()


def test_progress_counts_what_was_committed(tmp_path: pathlib.Path) -> None:
    journal, progress = Journal(tmp_path / "a.jsonl", "a"), Progress(tmp_path, 2)
    for txn, offset in (("a:0", 3), ("a:1", 5), ("a:2", 9)):
        journal.note("begin", txn=txn)
        journal.note("offsets", id=offset, group="g", txn=txn, offsets={"t/1": offset})
        journal.note("commit", txn=txn)
        if offset < 9:
            journal.note("committed", txn=txn)
    with open(tmp_path / "a.jsonl", "a") as file:
        file.write('{"event": "committed", "txn": "a:2"')  # it was killed while it wrote
    assert progress.passed([0, 5])
    assert not progress.passed([0, 6])
    assert progress.committed == [0, 5]
    journal.close()
    assert [json.loads(json.dumps(event))["event"] for event in load([tmp_path / "a.jsonl"])].count(
        "committed"
    ) == 2
