"""A disk that fails while one segment takes the place of others."""
from __future__ import annotations

import errno
import os
import pathlib

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import SegmentsChanged
from fastbroker.storage.space import is_fault
from tests.storage.compaction.cleanings import clean, leftovers
from tests.storage.logs import append, contents, open_log

COMPACT = TopicConfig(cleanup_policy=("compact",))


class NamelessDisk(Disk):
    """Of the files that are put away, number `fails_at` cannot be renamed, for want of space."""

    fails_at = -1

    def rename(self, source: str, target: str) -> None:
        if target.endswith(".deleted"):
            if self.fails_at == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source)
            self.fails_at -= 1
        super().rename(source, target)


@pytest.mark.parametrize("fails_at", [0, 1, 3])
def test_a_replacement_is_made_or_not_or_the_directory_is_offline(
    tmp_path: pathlib.Path, fails_at: int
) -> None:
    disk, faults = NamelessDisk(), list[OSError]()
    log = open_log(tmp_path, COMPACT, disk=disk, fault=faults.append)
    for value in "ab":
        append(log, value)
        append(log, value)
        log.roll(0)
    append(log, "c")
    log.flush()
    before = contents(log)
    disk.fails_at = fails_at
    with pytest.raises(SegmentsChanged if fails_at == 0 else OSError):
        clean(log)
    assert any(map(is_fault, faults)) == (fails_at > 0)
    if fails_at == 0:
        assert contents(log) == before
        assert not [name for name in leftovers(log) if name.endswith(".log.swap")]
        disk.fails_at = -1
        clean(log)
        assert contents(log) == [(3, "b"), (4, "c")]
    log = open_log(tmp_path, COMPACT)  # whatever was left, it becomes the new
    assert contents(log) == [(3, "b"), (4, "c")]
