"""Frames of a commit journal: which count, and which ones damage has taken away."""
from __future__ import annotations

import pathlib
import random

import pytest

from fastbroker._c.checksum import crc32c
from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.finding import Fault, Faults, Severity
from fastbroker.storage.verify.journal_file import ALIGN, ENTRY, FILES, HEAD, check_journal, frames

RUN, OTHER_RUN = b"r" * 16, b"o" * 16


def frame(sequence: int, *, run: bytes = RUN, version: int = 1, size: int = 100) -> bytes:
    """One entry of `size` bytes, padded."""
    name = b"t-0"
    body = ENTRY.pack(bytes(16), 0, 0, 5, size, len(name)) + name + bytes([sequence % 256]) * size
    head = HEAD.pack(b"FBCJ", 0, version, 0, 1, HEAD.size + len(body), sequence, run)
    data = bytearray(head + body)
    data[4:8] = crc32c(data[8:]).to_bytes(4, "big")
    return bytes(data) + bytes(-len(data) % ALIGN)


def write(directory: pathlib.Path, *halves: bytes) -> None:
    for name, data in zip(FILES, halves, strict=False):
        (directory / name).write_bytes(data)


def faults(directory: pathlib.Path, *, is_clean: bool = False) -> list[Fault]:
    found = Faults()
    check_journal(Disk(), str(directory), is_clean=is_clean, faults=found)
    return found.all()


def counted(directory: pathlib.Path, half: int) -> list[int]:
    path = str(directory / FILES[half])
    return [one.sequence for one in frames(Disk(), path) if one.counts]


def test_frames_count_up_to_what_was_there_before(tmp_path: pathlib.Path) -> None:
    again = frame(21) + frame(22, size=9000) + frame(3) + frame(4, run=OTHER_RUN)
    write(tmp_path, again, b"".join(map(frame, range(11, 21))))
    assert counted(tmp_path, 0) == [21, 22]
    assert counted(tmp_path, 1) == list(range(11, 21))
    assert faults(tmp_path) == []


def test_a_torn_frame_at_the_end_is_none(tmp_path: pathlib.Path) -> None:
    whole = frame(1) + frame(2)
    write(tmp_path, whole + frame(3)[:-3000] + bytes(3000))
    torn = bytearray(frame(3, size=9000))
    torn[5000] ^= 1
    write(tmp_path, whole + bytes(torn))
    assert counted(tmp_path, 0) == [1, 2]
    assert faults(tmp_path) == []


def test_frames_behind_a_damaged_one_are_lost(tmp_path: pathlib.Path) -> None:
    for damaged in range(3):
        data = [frame(number) for number in range(1, 5)]
        data[damaged] = data[damaged][:60] + b"!" + data[damaged][61:]
        write(tmp_path, b"".join(data))
        found = faults(tmp_path)
        assert {one.if_left for one in found} == {Severity.DAMAGE}
        assert [one.what for one in found] == [
            f"frame {number} lies behind damaged ones" for number in range(damaged + 2, 5)
        ]
    data = [frame(number) for number in (1, 2)]
    write(tmp_path, data[0] + data[1][:60] + b"!" + data[1][61:], frame(3))
    (only,) = faults(tmp_path)
    assert only.what == "frames 2..2 are damaged or missing"


def test_other_versions_and_what_is_left_after_a_clean_end(tmp_path: pathlib.Path) -> None:
    write(tmp_path, frame(1, version=2))
    (only,) = faults(tmp_path)
    assert only.remedy == "does not start"
    write(tmp_path, frame(1), b"")
    (only,) = faults(tmp_path, is_clean=True)
    assert only.if_left is Severity.NOTE
    write(tmp_path, b"", b"")
    assert faults(tmp_path, is_clean=True) == []


@pytest.mark.parametrize("seed", range(10))
def test_any_bytes_are_read(tmp_path: pathlib.Path, seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray(b"".join(frame(number, size=dice.randint(0, 9000)) for number in range(1, 8)))
    for _ in range(30):
        data[dice.randrange(len(data))] = dice.randrange(256)
    at = dice.randrange(len(data))
    write(tmp_path, bytes(data[: dice.randrange(len(data))]), bytes(data[at:]))
    faults(tmp_path)
    for half in (0, 1):
        counted(tmp_path, half)
