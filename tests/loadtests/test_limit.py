"""The C server and the load generator understand each other, and the broker, at all sizes."""
from __future__ import annotations

import pathlib

import pytest

from loadtests.limit.__main__ import Case, measure
from loadtests.limit.build import compiled
from loadtests.limit.sides import limit, ours

SIZES = [180, 16 << 10, 1 << 20]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """The generator and the server."""
    folder = tmp_path_factory.mktemp("programs")
    return compiled("load", folder), compiled("server", folder)


def cases(size: int) -> list[Case]:
    """A few writes and reads of batches of one size, and the smallest request."""
    told = {"batch_bytes": size, "warm": 4, "requests": 36, "batches": 10, "idempotent": 1}
    return [Case(mode, mode, told, True) for mode in ("produce", "fetch", "versions")]


@pytest.mark.parametrize("flush", [True, False], ids=["fsync", "none"])
@pytest.mark.parametrize("size", SIZES)
def test_the_c_server_answers_the_generator(
    programs: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path, size: int, flush: bool
) -> None:
    load, server = programs
    with limit(server, tmp_path, flush=flush) as side:
        for case in cases(size):
            found = measure(load, side, case)
            assert found["requests"] == 36
            assert found["cpu_s"] >= 0
            assert found["p50_us"] <= found["max_us"]
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.log"))
    assert on_disk == 40 * found["batch_bytes"]


def test_the_broker_answers_the_generator(
    programs: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    load, _ = programs
    with ours(tmp_path, flush=True) as side:
        for case in cases(16 << 10):
            assert measure(load, side, case)["requests"] == 36
