"""Indexes that are missing, garbage, or cut short are made anew: whoever looks for an offset or a
time finds what is there."""
from __future__ import annotations

import pathlib

import pytest

from tests.faults.directory import Damage, Directory
from tests.faults.test_damage import empty, garbage, gone, renamed, zeros


def cut_in_an_entry(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def of_another(path: pathlib.Path) -> None:
    other = sorted(path.parent.glob(f"*{path.suffix}"))[0]
    path.write_bytes(other.read_bytes() * 3)


DAMAGES: list[Damage] = [gone, empty, garbage, zeros, renamed, cut_in_an_entry, of_another]


@pytest.mark.parametrize("is_clean", [True, False], ids=["stopped", "killed"])
@pytest.mark.parametrize("number", [1, -1], ids=["closed", "active"])
@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_is_made_anew(
    tmp_path: pathlib.Path, damage: Damage, suffix: str, number: int, is_clean: bool
) -> None:
    directory = Directory(tmp_path / "d", is_clean=is_clean)
    path = directory.segments(suffix)[number]
    damage(path)
    directory.start()
    directory.start()
