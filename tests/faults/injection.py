"""System calls of a running process that fail, by strace's fault injection.

    with failing(pid, "fdatasync:error=EIO:when=1"):
        ...                  the first fdatasync from here on, of any of its threads, fails
"""
from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator

from tests.broker_process import wait_until
from tests.interop import installs

ATTACH_DEADLINE_S = 10.0
PACKAGES = ("strace", "libunwind8", "liblzma5", "libdw1", "libelf1")


@functools.cache
def strace() -> tuple[str, dict[str, str]]:
    """The program and its environment: the one on PATH, or Debian's, unpacked."""
    found = shutil.which("strace")
    if found:
        return found, {}
    root = installs.debs("strace", PACKAGES)
    libraries = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    older = root / "lib" / f"{platform.machine()}-linux-gnu"
    return str(root / "usr" / "bin" / "strace"), {"LD_LIBRARY_PATH": f"{libraries}:{older}"}


class Trace:
    """What strace has seen. lines: of calls that are traced, injected ones end in (INJECTED)."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def injected(self) -> list[str]:
        return [line for line in self.lines if "(INJECTED)" in line]


@contextlib.contextmanager
def failing(pid: int, *injections: str, paths: tuple[pathlib.Path, ...] = ()) -> Iterator[Trace]:
    """Calls of `pid` and its threads fail as strace's -e inject= says; paths: only those of these
    files."""
    program, env = strace()
    calls = ",".join(sorted({one.split(":")[0] for one in injections}))
    command = [program, "-f", "-y", "-p", str(pid), "-e", f"trace={calls}", "-e", "signal=none"]
    for one in injections:
        command += ["-e", f"inject={one}"]
    for path in paths:
        command += ["-P", str(path)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, **env},
    )  # fmt: skip
    trace = Trace()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            trace.lines.append(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        threads = len(os.listdir(f"/proc/{pid}/task"))
        wait_until(
            lambda: process.poll() is not None or _attached(trace, threads),
            ATTACH_DEADLINE_S,
            f"strace to attach to {threads} threads of {pid}",
        )
        assert process.poll() is None, "\n".join(trace.lines)
        yield trace
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(ATTACH_DEADLINE_S)
        reader.join(ATTACH_DEADLINE_S)
        assert process.stderr is not None
        process.stderr.close()


def _attached(trace: Trace, threads: int) -> bool:
    told = [line for line in trace.lines if " attached" in line]
    return any(f"with {threads} threads" in line for line in told) or len(told) >= threads
