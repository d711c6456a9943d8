"""Runs a starting point as it is printed."""
from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from tests.interop import installs

HERE = pathlib.Path(__file__).parent
END_TIMEOUT_S = 60
# Whose node_modules a program uses: KafkaJS's, unless it says so here.
MODULES = {"node/consumer_next.js": "platformatic"}
LAST_WORDS = 2000  # characters of a failed program's complaints


@contextlib.contextmanager
def started(name: str, bootstrap: str | None, *arguments: str) -> Iterator[Program]:
    """A starting point, as in started("node/producer.js", broker.bootstrap); killed in the end.

    bootstrap: None leaves it to the address that is in the program.
    """
    command, env = _command(name)
    env = {**os.environ, **env}
    env.pop("BOOTSTRAP_SERVERS", None)
    if bootstrap is not None:
        env["BOOTSTRAP_SERVERS"] = bootstrap
    with tempfile.TemporaryFile("w+") as complaints, subprocess.Popen(
        [*command, *arguments], env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=complaints, text=True,
    ) as process:  # fmt: skip
        program = Program(process, complaints)
        try:
            yield program
        except BaseException as error:
            error.add_note(f"{name} said:\n{program.said()[-LAST_WORDS:]}")
            raise
        finally:
            if process.poll() is None:
                process.kill()


class Program:
    """A starting point that runs.

    Waits have no limit of their own: the test's applies. What it prints is not read ahead, so that
    it stands still when its pipe is full.
    """

    def __init__(self, process: subprocess.Popen[str], complaints: IO[str]) -> None:
        self._process, self._complaints = process, complaints

    def lines(self, count: int) -> list[str]:
        """The next `count` lines that it prints; fewer when it ends before."""
        assert self._process.stdout is not None
        return [line.rstrip("\n") for line in itertools.islice(self._process.stdout, count)]

    def said(self) -> str:
        """What it has said on stderr."""
        self._complaints.seek(0)
        return self._complaints.read()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, list[str]]:
        """Its exit status once it has ended, and what it has printed since lines()."""
        assert self._process.stdout is not None
        rest = self._process.stdout.read().splitlines()
        return self._process.wait(END_TIMEOUT_S), rest

    def stop(self) -> list[str]:
        """SIGTERM, and what it still prints; it ends with status 0."""
        self.send(signal.SIGTERM)
        status, rest = self.end()
        assert status == 0, f"exit status {status}"
        return rest


def _command(name: str) -> tuple[list[str], dict[str, str]]:
    file = str(HERE / name)
    if name.startswith("python/"):
        return [sys.executable, file], {"PYTHONUNBUFFERED": "1"}
    modules = installs.npm(MODULES.get(name, "kafkajs"))
    return [str(installs.node() / "node"), file], {"NODE_PATH": str(modules)}
