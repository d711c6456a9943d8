"""A real broker for tests: `python -m fastbroker start` as its own processes, on loopback.

    with BrokerProcess(data_dir, workers=2) as broker:
        Producer({"bootstrap.servers": broker.bootstrap})

The supervisor and its children are told apart by the names they give themselves in /proc/PID/comm:
fb-supervisor, fb-controller, fb-worker-0, ... Everything printed is kept in `lines`.
"""
from __future__ import annotations

import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable

ROOT = pathlib.Path(__file__).parents[1]
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 30.0
# Consecutive ports are taken from here upwards, below Linux's ephemeral range (32768...).
FIRST_PORT, LAST_PORT = 23000, 32000
BLOCK = 16


def wait_until(condition: Callable[[], object], deadline_s: float, what: str) -> None:
    """Return once `condition()` is true; AssertionError naming `what` after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s} s for {what}"
        time.sleep(0.005)


def free_ports(count: int) -> int:
    """The first of `count` (at most BLOCK) consecutive free ports.

    Test processes that run side by side have ports of their own: what one has found free, or lets
    go while its broker restarts, no other takes. Processes begin at different places.
    """
    lanes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    lane = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % lanes
    span = (LAST_PORT - FIRST_PORT) // BLOCK // lanes * BLOCK
    first, begin = FIRST_PORT + lane * span, os.getpid() * BLOCK
    for step in range(0, span, BLOCK):
        base = first + (begin + step) % span
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise RuntimeError("no free ports")


class BrokerProcess:
    """One `fastbroker start` with its children; a context manager that stops it cleanly."""

    def __init__(
        self,
        data_dir: pathlib.Path | str,
        *,
        workers: int = 2,
        port: int | None = None,
        settings: Iterable[str] = (),
        main: str = "fastbroker",
    ) -> None:
        self.data_dir = pathlib.Path(data_dir)
        self.workers = workers
        self.port = port if port is not None else free_ports(workers)
        self.settings = list(settings)
        self.main = main  # the module that is run
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def bootstrap(self) -> str:
        """host:port of the first worker."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> BrokerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, deadline_s: float = START_DEADLINE_S) -> float:
        """Start and wait for the `ready` line; seconds it took."""
        command = [sys.executable, "-m", self.main, "start", "--data-dir", str(self.data_dir)]
        command += ["--port", str(self.port), "--workers", str(self.workers)]
        for setting in self.settings:
            command += ["--set", setting]
        command += self.arguments()
        begun = time.monotonic()
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        )
        self._reader = threading.Thread(target=self._drain, args=(self._process,), daemon=True)
        seen = len(self.lines)
        self._reader.start()

        def ready() -> bool:
            assert self._process is not None
            if any(line.startswith("ready") for line in self.lines[seen:]):
                return True
            assert self._process.poll() is None, "it ended:\n" + "\n".join(self.lines[seen:])
            return False

        try:
            wait_until(ready, deadline_s, "the ready line")
        except AssertionError as error:
            self.kill_all()
            raise AssertionError(f"{error}\n" + "\n".join(self.lines[seen:][-50:])) from None
        return time.monotonic() - begun

    def arguments(self) -> list[str]:
        """What else is on the command line."""
        return []

    def stop(self) -> int:
        """SIGTERM and wait; the exit status, or the one it ended with before."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill_all()
                raise AssertionError("it did not stop:\n" + "\n".join(self.lines[-50:])) from None
        self._close()
        return self._process.returncode

    def _close(self) -> None:
        """Everything has ended: read what was still printed, and let the pipe go."""
        assert self._process is not None
        if self._reader is not None:
            self._reader.join(STOP_DEADLINE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def roles(self) -> dict[str, int]:
        """Process ids of the living children by name, as in {"fb-controller": 123}."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        found = {}
        for pid in map(int, children.split()):
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if re.fullmatch(r"fb-(controller|gateway|worker-\d+)", name):
                found[name] = pid
        return found

    def kill(self, role: str) -> int:
        """kill -9 the child called `role`; the process id it had."""
        pid = self.roles()[role]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self) -> None:
        """kill -9 the supervisor and every child at one moment, and wait until all are gone."""
        assert self._process is not None
        pids = [self.pid, *self.roles().values()] if self._process.poll() is None else []
        handles = []
        for pid in pids:
            try:
                handles.append(os.pidfd_open(pid))
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(STOP_DEADLINE_S)
        for handle in handles:
            select.select([handle], [], [], STOP_DEADLINE_S)
            os.close(handle)
        self._close()

    def _drain(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))
