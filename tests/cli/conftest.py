"""A broker for the tests of a module, and the command line as people run it."""
from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from tests.apache_kafka.broker import KafkaNode
from tests.broker_process import ROOT, BrokerProcess
from tests.interop.installs import kafka_jars

TIMEOUT_S = 60
UNVERIFIED = {"transaction.partition.verification.enable": "false"}


class CommandLine:
    """`fastbroker ARGS` as its own process, against one broker."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "fastbroker", *args]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "FASTBROKER_BOOTSTRAP": self.bootstrap}

    def run(self, *args: str, stdin: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        """What it printed; AssertionError unless it ended with `status`, without a traceback."""
        done = subprocess.run(
            self.command(*args), env=self.env, cwd=ROOT, input=stdin, capture_output=True,
            text=True, timeout=TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def answer(self, text: str, *args: str) -> tuple[int, str]:
        """(status, what was printed) on a terminal of 80 columns whose user types `text`."""
        mine, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {one: value for one, value in self.env.items() if one not in ("COLUMNS", "LINES")}
        with subprocess.Popen(
            self.command(*args), env=env, cwd=ROOT, stdin=its, stdout=its, stderr=its
        ) as process:
            os.close(its)
            os.write(mine, text.encode())
            said = b""
            with contextlib.suppress(OSError):  # EIO: all of its other ends are closed
                while data := os.read(mine, 65536):
                    said += data
        os.close(mine)
        return process.wait(TIMEOUT_S), said.decode().replace("\r\n", "\n")

    def error(self, *args: str, stdin: str = "", status: int = 1) -> str:
        """The one line of a command that fails."""
        lines = self.run(*args, stdin=stdin, status=status).stderr.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


@pytest.fixture(scope="module")
def fastbroker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line against a broker of two workers, or the one at FASTBROKER_TEST_BOOTSTRAP."""
    given = os.environ.get("FASTBROKER_TEST_BOOTSTRAP")
    if given:
        yield CommandLine(given)
        return
    with BrokerProcess(tmp_path_factory.mktemp("cli") / "data", workers=2) as broker:
        yield CommandLine(broker.bootstrap)


@pytest.fixture(
    scope="module", params=["fastbroker", pytest.param("kafka", marks=pytest.mark.kafka)]
)
def anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommandLine]:
    """The command line against a broker of ours, and then against Apache Kafka.

    Neither verifies transactions: one that no coordinator knows can be made.
    """
    given = os.environ.get("FASTBROKER_TEST_BOOTSTRAP")
    if request.param == "fastbroker" and given:
        yield CommandLine(given)
        return
    if request.param == "fastbroker":
        settings = [f"{key}={value}" for key, value in UNVERIFIED.items()]
        data_dir = tmp_path_factory.mktemp("cli") / "data"
        with BrokerProcess(data_dir, workers=2, settings=settings) as broker:
            yield CommandLine(broker.bootstrap)
        return
    kafka_jars()
    directory = tmp_path_factory.mktemp("kafka")
    with KafkaNode(directory, settings=UNVERIFIED) as kafka:
        yield CommandLine(kafka.bootstrap)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A topic's name that no other test and no earlier run uses."""
    words = f"{request.module.__name__.split('_')[-1]}-{request.node.name.removeprefix('test_')}"
    return re.sub(r"\W+", "-", f"{words}-{os.getpid()}")
