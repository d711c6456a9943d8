"""The table of clients: what each is called, what it can do, how its program is run."""
from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.interop import installs
from tests.interop.records import Record

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RUN_TIMEOUT_S = 60
LAST_WORDS = 2000  # characters of a failed program's complaints


@dataclass(frozen=True)
class Program:
    """A command line without its arguments, and what it adds to the environment."""

    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Client:
    """A client: `install` makes its Program, or skips the test for the lack of a runtime."""

    name: str
    install: Callable[[], Program]
    codecs: tuple[str, ...] = CODECS
    cannot_send: frozenset[str] = frozenset()  # names of the headers of records.HEADERS
    sees_null_headers: bool = True  # False: it shows a header without a value as an empty one

    def produce(self, bootstrap: str, file: pathlib.Path, topics: Mapping[str, str]) -> None:
        """Send the records in `file`; topics: name to codec. AssertionError when it complains."""
        pairs = [f"{codec}={topic}" for topic, codec in topics.items()]
        _, failure = self._run(["produce", bootstrap, str(file), *pairs])
        assert not failure, failure

    def sees(self, record: Record) -> Record:
        """`record` as this client's consumer shows it."""
        if self.sees_null_headers:
            return record
        return replace(record, headers=tuple((n, v or b"") for n, v in record.headers))

    def consume(
        self, bootstrap: str, group: str, count: int, topics: list[str]
    ) -> tuple[list[Record], str]:
        """The records it received, at most `count`, and its complaint ("" when it ended well)."""
        out, failure = self._run(["consume", bootstrap, group, str(count), *topics])
        whole = [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
        return [Record.from_json(line) for line in whole], failure

    def _run(self, args: list[str]) -> tuple[str, str]:
        program = self.install()
        process = subprocess.Popen(
            [*program.command, *args], cwd=ROOT, env={**os.environ, **program.env},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            out, said = process.communicate(timeout=RUN_TIMEOUT_S)
            ended = f"exit {process.returncode}"
        except subprocess.TimeoutExpired:
            process.kill()
            out, said = process.communicate()
            ended = f"no end within {RUN_TIMEOUT_S} s"
        if ended == "exit 0":
            return out, ""
        return out, f"{self.name} {args[0]}: {ended}\n{said[-LAST_WORDS:]}"


def _python(name: str) -> Callable[[], Program]:
    def install() -> Program:
        return Program([sys.executable, "-m", f"tests.interop.{name}.client"])

    return install


def _kcat() -> Program:
    command, env = installs.kcat()
    python = [sys.executable, "-m", "tests.interop.kcat.client"]
    return Program([*python, *command], env)


def _javascript(name: str, modules: Callable[[], pathlib.Path]) -> Callable[[], Program]:
    def install() -> Program:
        found = modules()
        node = installs.node() / "node"
        return Program([str(node), str(HERE / name / "client.js")], {"NODE_PATH": str(found)})

    return install


def _go(name: str) -> Callable[[], Program]:
    return lambda: Program([str(installs.go(name))])


def _java() -> Program:
    options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    options.append("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    return Program(["java", *options, "-cp", installs.java(HERE / "java"), "Client"])


CLIENTS = (
    Client("confluent_kafka", _python("confluent_kafka")),
    Client("aiokafka", _python("aiokafka")),
    Client("kafka_python", _python("kafka_python"), cannot_send=frozenset({"nothing"})),
    Client("kcat", _kcat),
    Client(
        "kafkajs",
        _javascript("kafkajs", lambda: installs.npm("kafkajs")),
        cannot_send=frozenset({"nothing"}),
    ),
    Client(
        "kafka_javascript",
        _javascript("kafka_javascript", installs.librdkafka_modules),
        cannot_send=frozenset({"nothing", "empty"}),
        sees_null_headers=False,
    ),
    Client("platformatic", _javascript("platformatic", lambda: installs.npm("platformatic"))),
    Client("franz_go", _go("franz_go")),
    Client("sarama", _go("sarama")),
    Client("java", _java),
)
