"""The comparison: `python -m loadtests.limit`, see the package's guide."""
from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from loadtests.limit.build import compiled
from loadtests.limit.profile import profiled
from loadtests.limit.sides import PARTITIONS, TOPIC, Side, limit, ours

MIB = 1 << 20
WARM_REQUESTS = 200  # imports, caches, TCP windows
CHUNK_MIB = 64  # written in one run of the generator


class Case(NamedTuple):
    """One row: what the generator is told, and whether CPU is counted by bytes or by requests."""

    name: str
    mode: str
    options: dict[str, int]
    by_bytes: bool


def cases(
    *, chunks: int, connections: int, depth: int, idempotent: bool
) -> list[list[Case]]:
    """Groups of cases that run one after the other on one server: a fetch reads what is there."""
    shared = {"partitions": PARTITIONS, "connections": connections, "depth": depth}
    writes = {**shared, "idempotent": int(idempotent)}
    groups = []
    for name, size in (("16 KiB", 16 << 10), ("1 MiB", MIB)):
        count = CHUNK_MIB * MIB // size
        sized = {"batch_bytes": size, "warm": min(WARM_REQUESTS, count // 4)}
        reads = {"batches": chunks * count // PARTITIONS, "requests": 4 * count}
        groups.append(
            [
                Case(f"produce {name}", "produce", {**writes, **sized, "requests": count}, True),
                Case(f"fetch {name}", "fetch", {**shared, **sized, **reads}, True),
            ]
        )
    tiny = {"batch_bytes": 180, "record_bytes": 100, "requests": 5000, "warm": WARM_REQUESTS}
    groups.append(
        [
            Case("produce 1 record of 100 B", "produce", {**writes, **tiny}, False),
            Case("ApiVersions", "versions", {**shared, **tiny}, False),
        ]
    )
    return groups


def measure(load: pathlib.Path, side: Side, case: Case) -> dict[str, Any]:
    """What the generator says about one case."""
    told = [f"{name}={value}" for name, value in case.options.items()]
    done = subprocess.run(
        [str(load), str(side.port), case.mode, TOPIC, f"pid={side.pid}", *told],
        stdout=subprocess.PIPE, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{case.name} failed")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def warm_pages(folder: pathlib.Path, size: int) -> None:
    """Touch as many pages of the page cache as will be written to, and free them again.

    A virtual machine may hand free memory back to its host after a second or two, and its next
    touch is slow then: this goes before each run, and a run is short.
    """
    path = folder / "warm"
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    path.unlink()


class Comparison:
    """Both sides, all cases, some rounds; figures by case and side."""

    def __init__(self, folder: pathlib.Path, *, flush: bool) -> None:
        self.folder, self.flush = folder, flush
        self.load, self.server = compiled("load", folder), compiled("server", folder)
        self.found: dict[str, dict[str, list[dict[str, Any]]]] = {}

    @contextlib.contextmanager
    def up(self, name: str) -> Iterator[Side]:
        """A fresh server with an empty directory that is removed afterwards."""
        data = self.folder / "data"
        data.mkdir()
        try:
            if name == "ours":
                with ours(data, flush=self.flush) as side:
                    yield side
            else:
                with limit(self.server, data, flush=self.flush) as side:
                    yield side
        finally:
            shutil.rmtree(data)

    def round(self, group: list[Case], name: str, chunks: int) -> None:
        """One side through one group of cases, each in `chunks` runs of the generator."""
        with self.up(name) as side:
            for case in group:
                for _ in range(chunks):
                    warm_pages(self.folder, 2 * CHUNK_MIB * MIB)
                    found = measure(self.load, side, case)
                    self.found.setdefault(case.name, {}).setdefault(name, []).append(found)

    def row(self, case: Case) -> dict[str, Any]:
        """Medians of one case over all runs, and the ratio of those."""
        sides = self.found[case.name]
        unit = "bytes" if case.by_bytes else "requests"
        factor = 1e9 if case.by_bytes else 1e6
        costs = {
            name: [one["cpu_s"] / one[unit] * factor for one in rounds]
            for name, rounds in sides.items()
        }
        row: dict[str, Any] = {"case": case.name, "per": "GB" if case.by_bytes else "million"}
        for name, rounds in sides.items():
            row[name] = {
                "cpu_s": statistics.median(costs[name]),
                "requests_per_s": statistics.median(r["requests"] / r["seconds"] for r in rounds),
                "p50_us": statistics.median(r["p50_us"] for r in rounds),
                "p99_us": statistics.median(r["p99_us"] for r in rounds),
            }
        row["ratio"] = row["ours"]["cpu_s"] / row["limit"]["cpu_s"]
        return row


def show(row: dict[str, Any]) -> str:
    """A line of the table."""
    a, b = row["ours"], row["limit"]
    line = f"{row['case']:<26} {a['cpu_s']:8.3f} {b['cpu_s']:8.3f} s/{row['per']:<8}"
    line += f" {row['ratio']:6.2f} {a['requests_per_s']:10.0f} {b['requests_per_s']:10.0f}"
    return line + f" {a['p50_us']:9.0f} {a['p99_us']:9.0f}"


HEADING = (
    f"{'CPU seconds':<26} {'ours':>8} {'limit':>8}   {'':<8} {'ratio':>6} {'ours/s':>10}"
    f" {'limit/s':>10} {'p50 us':>9} {'p99 us':>9}"
)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.limit")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--chunks", type=int, default=4, help="of 64 MiB, for each size and side")
    options.add_argument("--flush", choices=["fsync", "none"], default="fsync")
    options.add_argument("--connections", type=int, default=4)
    options.add_argument("--depth", type=int, default=5, help="requests in flight of each")
    options.add_argument("--idempotent", action="store_true", help="with producer ids")
    options.add_argument("--only", default="", help="cases whose group's name holds this")
    options.add_argument("--data-dir", help="where to put the data; default: the temporary one")
    options.add_argument("--json", type=pathlib.Path)
    options.add_argument("--profile", action="store_true", help="then perf on our worker")
    args = options.parse_args()
    groups = cases(
        chunks=args.chunks, connections=args.connections, depth=args.depth,
        idempotent=args.idempotent,
    )  # fmt: skip
    groups = [group for group in groups if any(args.only in case.name for case in group)]
    with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
        folder = pathlib.Path(path)
        comparison = Comparison(folder, flush=args.flush == "fsync")
        for n in range(args.rounds):
            for group in groups:
                for name in ("ours", "limit") if n % 2 else ("limit", "ours"):
                    comparison.round(group, name, args.chunks)
        rows = [comparison.row(case) for group in groups for case in group]
        print(f"flush: {args.flush}, {args.connections} connections of {args.depth} requests")
        print(HEADING)
        for row in rows:
            print(show(row))
        if args.json is not None:
            args.json.write_text(json.dumps({"options": vars(args) | {"json": None}, "rows": rows}))
        if args.profile:
            for group in groups:
                with comparison.up("ours") as side:
                    for case in group:
                        warm_pages(folder, 2 * CHUNK_MIB * MIB)
                        with profiled(side.pid, folder / "perf.data") as report:
                            measure(comparison.load, side, case)
                        print(f"\n{case.name}: where the worker's CPU goes\n{report[0]}")


if __name__ == "__main__":
    main()
