"""`perf record` on one process, and what its report says."""
from __future__ import annotations

import contextlib
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

LINES = 20


@contextlib.contextmanager
def profiled(pid: int, data: pathlib.Path) -> Iterator[list[str]]:
    """Record `pid` while the body runs; the list holds the report afterwards."""
    report: list[str] = []
    if shutil.which("perf") is None:
        yield report
        report.append("perf is not installed")
        return
    recorder = subprocess.Popen(
        ["perf", "record", "-q", "-F", "1999", "-g", "-p", str(pid), "-o", str(data)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(0.3)
    try:
        yield report
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
        report.append(
            f"by file:\n{_report(data, 'dso', 1.0, children=False)}\n"
            f"by function:\n{_report(data, 'dso,symbol', 0.7, children=False)}\n"
            f"by system call, with what it calls:\n"
            f"{_report(data, 'symbol', 0.7, children=True, only='__x64_sys_')}"
        )


def _report(data: pathlib.Path, sort: str, least: float, *, children: bool, only: str = "") -> str:
    """Lines of perf's report from `least` percent on that hold `only`."""
    told = subprocess.run(
        ["perf", "report", "-i", str(data), "--stdio", "-g", "none", "--sort", sort,
         "--percent-limit", str(least), "--children" if children else "--no-children"],
        capture_output=True, text=True,
    )  # fmt: skip
    lines = [
        line.rstrip(" -")
        for line in told.stdout.splitlines()
        if line.strip() and line[0] != "#" and only in line
    ]
    return "\n".join(lines[:LINES]) or told.stderr or "perf recorded nothing"
