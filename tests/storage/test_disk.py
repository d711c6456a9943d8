"""What the real disk asks of the kernel."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker.storage.disk import FOLIO_MAX_BYTES, Disk


@pytest.mark.parametrize("offset", [0, 5000, FOLIO_MAX_BYTES, 5 * FOLIO_MAX_BYTES + 1])
def test_pages_that_are_cached_together_are_forgotten_together(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """The kernel passes over a folio that only a part of is named."""
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, *what: asked.append(what))
    disk = Disk()
    fd = disk.open(str(tmp_path / "file"), create=True)
    disk.forget_cached(fd, offset)
    disk.close(fd)
    begin = offset // FOLIO_MAX_BYTES * FOLIO_MAX_BYTES
    assert asked == [(begin, 0, os.POSIX_FADV_DONTNEED)]
