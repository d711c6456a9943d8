"""`perf record` on one process, and what its report says."""
from __future__ import annotations

import contextlib
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

LINES = 45


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
        told = subprocess.run(
            ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none",
             "--sort", "dso,symbol", "--percent-limit", "0.5"],
            capture_output=True, text=True,
        )  # fmt: skip
        lines = [line for line in told.stdout.splitlines() if line.strip() and line[0] != "#"]
        report.append("\n".join(lines[:LINES]) or told.stderr or "perf recorded nothing")
