"""A command, and the syncs of a process while it ran."""
from __future__ import annotations

import pathlib
import subprocess
from typing import NamedTuple

CALLS = ("fdatasync", "fsync", "syncfs")


class Counted(NamedTuple):
    """What the command printed; syncs: by system call, None when nobody could count them."""

    output: str
    syncs: dict[str, int] | None


def counted(command: list[str], pid: int, folder: pathlib.Path, timeout_s: float) -> Counted:
    """Run `command`, and count the syncs of all threads of `pid` meanwhile. SystemExit if it fails.

    folder: for perf's report.
    """
    report = folder / "syncs"
    report.unlink(missing_ok=True)
    events = ",".join(f"syscalls:sys_enter_{call}" for call in CALLS)
    perf = ["perf", "stat", "-x", ",", "-o", str(report), "-e", events, "-p", str(pid), "--"]
    try:
        done = _run([*perf, *command], timeout_s)
        if done.returncode == 0:
            return Counted(done.stdout, parse(report.read_text()))
    except FileNotFoundError:
        pass
    done = _run(command, timeout_s)  # without perf, or where it may not count
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return Counted(done.stdout, None)


def parse(report: str) -> dict[str, int]:
    """The counts in perf's report; a call that never happened has none."""
    found = dict.fromkeys(CALLS, 0)
    for line in report.splitlines():
        fields = line.split(",")
        for call in CALLS:
            if f"syscalls:sys_enter_{call}" in fields and fields[0].isdigit():
                found[call] = int(fields[0])
    return found


def _run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
