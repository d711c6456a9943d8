"""Which disks the record of one may make."""
from __future__ import annotations

import pathlib

import pytest

from tests.powercut.block_log import BLOCK, SECTOR, Images, Position, Recorder, flushes

DISK = 4 * BLOCK


@pytest.fixture
def recorder(tmp_path: pathlib.Path) -> Recorder:
    for name in ("image", "before"):
        (tmp_path / name).write_bytes(b"." * DISK)
    return Recorder(tmp_path / "image", tmp_path / "log", Position.create(tmp_path / "position"))


def write(recorder: Recorder, block: int, letter: bytes) -> None:
    recorder.write(0, block * BLOCK, memoryview(letter * BLOCK))


def disks(folder: pathlib.Path, cut: int, count: int = 60) -> list[bytes]:
    """What cuts at one position leave."""
    image = folder / "before"
    images = Images(image, folder / "log", cuts=[cut] * count, seed=1)
    out = []
    for number in range(count):
        images.appear(number)
        out.append(images.read(number, 0, DISK))
    return out


def test_what_was_flushed_before_the_cut_is_there_and_nothing_from_after_it(
    recorder: Recorder, tmp_path: pathlib.Path
) -> None:
    write(recorder, 0, b"a")
    recorder.flush(0)
    write(recorder, 1, b"b")
    assert Position(tmp_path / "position").now() == 3
    assert flushes(tmp_path / "log") == 1
    assert set(disks(tmp_path, 2)) == {b"a" * BLOCK + b"." * 3 * BLOCK}


def test_later_writes_are_there_missing_or_torn_in_any_order(
    recorder: Recorder, tmp_path: pathlib.Path
) -> None:
    for block, letter in enumerate((b"a", b"b", b"c")):
        write(recorder, block, letter)
    found = disks(tmp_path, 3)
    kept = {tuple(disk[block * BLOCK] != ord(".") for block in range(3)) for disk in found}
    assert {(False, False, False), (True, True, True), (False, False, True)} <= kept
    assert any(
        0 < disk[:BLOCK].count(b"a") < BLOCK and disk[:BLOCK].count(b"a") % SECTOR == 0
        for disk in found
    )


def test_a_disk_is_the_same_for_its_seed_and_forgets_what_others_were_told(
    recorder: Recorder, tmp_path: pathlib.Path
) -> None:
    write(recorder, 0, b"a")
    recorder.flush(0)
    write(recorder, 1, b"b")
    first = disks(tmp_path, 3)
    images = Images(tmp_path / "before", tmp_path / "log", cuts=[3] * 60, seed=1)
    for number, disk in enumerate(first):
        images.appear(number)
        assert images.read(number, 0, DISK) == disk
        images.write(number, 700, memoryview(b"x" * BLOCK))
        assert images.read(number, 600, 200) == disk[600:700] + b"x" * 100
