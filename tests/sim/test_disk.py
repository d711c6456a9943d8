"""What survives on the simulated disk, and what does not."""
from __future__ import annotations

import errno
import random

import pytest

from tests.sim.disk import PowerCut, SimulatedDisk


def outcomes(disk_of: object, path: str, count: int = 200) -> set[bytes | None]:
    """What `path` may have after a cut; None: it is not there."""
    found: set[bytes | None] = set()
    for seed in range(count):
        disk = disk_of().after_power_cut(random.Random(seed))  # type: ignore[operator]
        found.add(disk.read_file(path) if disk.exists(path) else None)
    return found


def written(*, file_synced: bool, name_synced: bool) -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("/d")
    disk.sync_directory("/")
    fd = disk.open("/d/f", create=True)
    disk.pwrite(fd, b"a" * 1024, 0)
    if file_synced:
        disk.sync(fd)
    if name_synced:
        disk.sync_directory("/d")
    return disk


def test_what_was_synced_with_its_name_is_there() -> None:
    found = outcomes(lambda: written(file_synced=True, name_synced=True), "/d/f")
    assert found == {b"a" * 1024}


def test_a_file_whose_directory_was_not_synced_may_be_gone() -> None:
    found = outcomes(lambda: written(file_synced=True, name_synced=False), "/d/f")
    assert found == {b"a" * 1024, None}


def test_unsynced_bytes_are_there_lost_torn_or_zeros() -> None:
    a, zeros = b"a" * 512, bytes(512)
    found = outcomes(lambda: written(file_synced=False, name_synced=True), "/d/f")
    assert {b"", a + a, a, zeros + a, zeros + zeros} <= found
    assert None not in found


def test_a_file_written_over_is_a_mixture_of_sectors() -> None:
    def overwritten() -> SimulatedDisk:
        disk = written(file_synced=True, name_synced=True)
        disk.pwrite(disk.open("/d/f"), b"b" * 1024, 0)
        return disk

    a, b = b"a" * 512, b"b" * 512
    assert outcomes(overwritten, "/d/f") == {a + a, a + b, b + a, b + b}


def test_a_truncation_may_be_undone_until_it_is_synced() -> None:
    def cut(*, synced: bool) -> SimulatedDisk:
        disk = written(file_synced=True, name_synced=True)
        fd = disk.open("/d/f")
        disk.truncate(fd, 3)
        if synced:
            disk.sync(fd)
        return disk

    assert outcomes(lambda: cut(synced=False), "/d/f") == {b"aaa", b"a" * 1024}
    assert outcomes(lambda: cut(synced=True), "/d/f") == {b"aaa"}


def test_names_change_in_order() -> None:
    def renamed() -> SimulatedDisk:
        disk = written(file_synced=True, name_synced=True)
        disk.make_directory("/d/x")
        disk.rename("/d/f", "/d/x/f")
        disk.rename("/d/x", "/d/y")
        return disk

    names = set()
    for seed in range(100):
        disk = renamed().after_power_cut(random.Random(seed))
        files = [p for p in ("/d/f", "/d/x/f", "/d/y/f") if disk.exists(p)]
        assert len(files) == 1
        names.add((files[0], tuple(disk.list("/d"))))
    assert names == {
        ("/d/f", ("f",)), ("/d/f", ("f", "x")), ("/d/x/f", ("x",)), ("/d/y/f", ("y",)),
    }  # fmt: skip


def test_syncing_a_directory_brings_all_earlier_changes_along() -> None:
    disk = written(file_synced=True, name_synced=True)
    disk.make_directory("/e")
    disk.rename("/d/f", "/d/g")
    disk.sync_directory("/d")
    disk.make_directory("/later")
    after = disk.after_power_cut(random.Random(1))
    assert after.exists("/e")
    assert after.exists("/d/g")


def test_syncing_the_file_system_leaves_nothing_to_chance() -> None:
    def synced() -> SimulatedDisk:
        disk = written(file_synced=False, name_synced=False)
        disk.sync_file_system(disk.open("/d", write=False))
        return disk

    assert outcomes(synced, "/d/f") == {b"a" * 1024}


def test_the_power_goes_at_the_call_that_was_named_and_stays_off() -> None:
    disk = SimulatedDisk()
    disk.make_directory("/d")
    disk.close(disk.open("/d/f", create=True))
    disk.cut_power(after=2)
    fd = disk.open("/d/f")
    disk.pwrite(fd, b"x", 0)
    for _ in range(2):
        with pytest.raises(PowerCut):
            disk.sync(fd)
    disk.close(fd)


def test_a_failed_sync_is_not_made_good_by_the_next() -> None:
    def failed() -> SimulatedDisk:
        disk = written(file_synced=True, name_synced=True)
        fd = disk.open("/d/f")
        disk.pwrite(fd, b"b" * 1024, 0)
        disk.pwrite(fd, b"c" * 512, 0)
        disk.fail(after=0, error=errno.EIO, call="sync")
        with pytest.raises(OSError, match="Input/output"):
            disk.sync(fd)
        disk.sync(fd)
        assert disk.read_file("/d/f") == b"c" * 512 + b"b" * 512
        return disk

    assert outcomes(failed, "/d/f") == {b"b" * 1024}


def test_one_call_fails_for_want_of_space() -> None:
    disk = written(file_synced=True, name_synced=True)
    disk.fail(after=0, error=errno.ENOSPC)
    fd = disk.open("/d/f")
    assert disk.pread(fd, 2, 0) == b"aa"
    with pytest.raises(OSError, match="No space"):
        disk.pwrite(fd, b"x", 0)
    disk.pwrite(fd, b"x", 0)


def test_a_lock_ends_with_its_descriptor_or_the_power() -> None:
    disk = SimulatedDisk()
    disk.make_directory("/d")
    fd = disk.lock("/d/.lock")
    with pytest.raises(BlockingIOError):
        disk.lock("/d/.lock")
    disk.close(fd)
    disk.lock("/d/.lock")
    disk.sync_directory("/d")
    disk.after_power_cut(random.Random(1)).lock("/d/.lock")


def test_a_killed_process_leaves_the_cache_as_it_is() -> None:
    def killed() -> SimulatedDisk:
        disk = written(file_synced=False, name_synced=False)
        disk.lock("/d/.lock")
        disk.cut_power(after=0)
        with pytest.raises(PowerCut):
            disk.exists("/d")
        disk = disk.after_kill()
        disk.lock("/d/.lock")
        assert disk.read_file("/d/f") == b"a" * 1024
        return disk

    assert None in outcomes(killed, "/d/f")
