"""A RehearsalDisk behaves as a Disk, and the real one is not touched."""
from __future__ import annotations

import inspect
import os
import pathlib
import random
from collections.abc import Callable

import pytest

from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.rehearsal import RehearsalDisk


def test_no_call_reaches_the_real_disk_by_inheritance() -> None:
    """A call that is added to Disk has to be added here, before it writes to real files."""
    calls = {name for name, _ in inspect.getmembers(Disk, inspect.isfunction)}
    own = {name for name in vars(RehearsalDisk) if not name.startswith("_")}
    assert {name for name in calls if not name.startswith("_")} <= own


def contents(disk: Disk, directory: str) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for name in disk.list(directory):
        path = os.path.join(directory, name)
        found[name] = None if disk.is_directory(path) else disk.read_file(path)
        if found[name] is not None:
            assert disk.size(path) == len(found[name] or b"")
    return found


def step(disk: Disk, root: str, dice: random.Random) -> None:
    """One call, or a few that belong together."""
    a, b = (os.path.join(root, dice.choice("abcd")) for _ in range(2))
    data = dice.randbytes(dice.randint(0, 40))
    at = dice.randint(0, 60)

    def with_fd(use: Callable[[int], object]) -> None:
        if disk.exists(a):
            fd = disk.open(a)
            use(fd)
            disk.close(fd)

    calls: list[Callable[[], object]] = [
        lambda: disk.replace_file(a, data),
        lambda: disk.write_file(a, data),
        lambda: disk.remove(a),
        lambda: a != b and disk.exists(a) and disk.rename(a, b),
        lambda: disk.close(disk.open(a, create=True)),
        lambda: with_fd(lambda fd: disk.pwrite(fd, data, at)),
        lambda: with_fd(lambda fd: disk.truncate(fd, at)),
    ]
    dice.choice(calls)()
    with_fd(lambda fd: check_reads(disk, fd, a, dice))


def check_reads(disk: Disk, fd: int, path: str, dice: random.Random) -> None:
    whole = disk.read_file(path)
    at, size = dice.randint(0, 80), dice.randint(0, 80)
    assert disk.pread(fd, size, at) == whole[at : at + size]
    assert bytes(disk.map(fd, len(whole))) == whole


@pytest.mark.parametrize("seed", range(30))
def test_it_is_a_disk(tmp_path: pathlib.Path, seed: int) -> None:
    for name in ("real", "same"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_bytes(bytes(range(50)))
        (tmp_path / name / "b").write_bytes(b"b")
    before = contents(Disk(), str(tmp_path / "real"))
    stage = RehearsalDisk(Disk())
    for number in range(60):
        for disk, root in ((stage, "real"), (Disk(), "same")):
            step(disk, str(tmp_path / root), random.Random(seed * 1000 + number))
        expected = contents(Disk(), str(tmp_path / "same"))
        assert contents(stage, str(tmp_path / "real")) == expected
    assert contents(Disk(), str(tmp_path / "real")) == before
    stage.close_all()


def test_directories_are_made_renamed_and_removed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "t-0").mkdir()
    (tmp_path / "t-0" / "x").write_bytes(b"x")
    stage, root = RehearsalDisk(Disk()), str(tmp_path)
    stage.rename(f"{root}/t-0", f"{root}/t-0.stray")
    assert stage.list(root) == ["t-0.stray"]
    assert stage.read_file(f"{root}/t-0.stray/x") == b"x"
    assert not stage.exists(f"{root}/t-0/x")
    stage.make_directory(f"{root}/t-0")
    assert stage.list(f"{root}/t-0") == []
    stage.remove_directory(f"{root}/t-0.stray")
    assert stage.list(root) == ["t-0"]
    assert stage.fate(f"{root}/t-0/x") == "removed"
    stage.close_all()
    assert (tmp_path / "t-0" / "x").read_bytes() == b"x"


@pytest.mark.parametrize("seed", range(20))
def test_it_comes_back_to_a_mark(tmp_path: pathlib.Path, seed: int) -> None:
    (tmp_path / "a").write_bytes(bytes(range(50)))
    (tmp_path / "b").write_bytes(b"b")
    stage, root = RehearsalDisk(Disk()), str(tmp_path)
    stage.remove(f"{root}/b")
    stage.write_file(f"{root}/d", b"d")
    marked = contents(stage, root)
    del marked["d"]  # its content may not come back
    stage.mark()
    for trial in range(3):
        for number in range(20):
            step(stage, root, random.Random(seed * 1000 + trial * 100 + number))
        stage.write_file(f"{root}/d", b"again")
        stage.rename(f"{root}/d", f"{root}/e")
        stage.rewind()
        found = contents(stage, root)
        found.pop("d")
        assert found == marked
    assert stage.fate(f"{root}/a") == "kept"
    assert stage.fate(f"{root}/b") == "removed"
    stage.close_all()
