"""Runs a starting point as it is printed."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.interop import installs

HERE = pathlib.Path(__file__).parent
RUN_TIMEOUT_S = 60
LAST_WORDS = 2000  # characters of a failed program's complaints


def run(program: str, bootstrap: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`program`, as in "node/producer.js", to its end."""
    with start(program, bootstrap, *arguments) as process:
        out, said = process.communicate(timeout=RUN_TIMEOUT_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, said)


@contextmanager
def start(
    program: str, bootstrap: str, *arguments: str, **env: str
) -> Iterator[subprocess.Popen[str]]:
    """`program` while it runs; killed in the end, unless it has ended."""
    command, environment = _command(program)
    process = subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, **environment, "BOOTSTRAP_SERVERS": bootstrap, **env},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def stop(process: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    """SIGTERM; the lines it has printed since and what it said on stderr; it ends with 0."""
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=RUN_TIMEOUT_S)
    assert process.returncode == 0, f"exit {process.returncode}\n{said[-LAST_WORDS:]}"
    return out.splitlines(), said.splitlines()


def _command(program: str) -> tuple[list[str], dict[str, str]]:
    file = str(HERE / program)
    if program.startswith("python/"):
        return [sys.executable, file], {"PYTHONUNBUFFERED": "1"}
    modules = installs.npm("kafkajs")
    return [str(installs.node() / "node"), file], {"NODE_PATH": str(modules)}
