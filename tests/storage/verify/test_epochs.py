"""leader-epoch-checkpoint is written late: what it may lack, and what it may not."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.verify.finding import Finding, Severity
from fastbroker.storage.verify.judgement import verify_partition
from fastbroker.storage.verify.partition import Circumstances
from tests.storage.logs import append, open_log


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> str:
    """Its file has epoch 1 from 0 on, and not 2 from 2 on."""
    log = open_log(tmp_path, topic_id=bytes(16))
    append(log, "a", epoch=1)
    flush(log)
    assert log.save_when_due()
    append(log, "b", epoch=1)
    append(log, "c", epoch=2)
    flush(log)
    return log.directory


def flush(log: Log) -> None:
    job = log.begin_flush()
    assert job is not None
    job.run()
    log.end_flush(job)


def found(directory: str, point: int, **how: bool) -> list[Finding]:
    known = Circumstances(recovery_point=point, **how)
    return verify_partition(Disk(), directory, known).findings


def test_it_may_lack_what_begins_above_the_recovery_point(directory: str) -> None:
    for point in (0, 1, 2):
        assert found(directory, point) == []


def test_it_has_what_begins_below(directory: str) -> None:
    (one,) = found(directory, 3)
    assert "leader epoch 2 at offset 2" in one.fault.what
    said = [one.fault.what for one in found(directory, 0, is_clean=True)]
    assert any("leader epoch 2 at offset 2" in one for one in said)


@pytest.mark.parametrize("content", [None, b"", b"0\n1\n1", b"0\n2\n2 2\n1 0\n"])
def test_a_lost_one_is_made_anew(directory: str, content: bytes | None) -> None:
    path = pathlib.Path(directory, "leader-epoch-checkpoint")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (one,) = found(directory, 3)
    assert one.severity is Severity.REPAIR
    assert one.remedy == "makes it anew from the batches"


def test_none_is_needed_before_anything_is_believed(directory: str) -> None:
    os.remove(os.path.join(directory, "leader-epoch-checkpoint"))
    (one,) = found(directory, 0)
    assert one.severity is Severity.NOTE
    assert found(directory, 0, is_running=True) == []
    (one,) = found(directory, 1, is_running=True)
    assert one.severity is Severity.REPAIR
