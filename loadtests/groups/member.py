"""A real client in a process of its own, told what to do and heard (see members/)."""
from __future__ import annotations

import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.apache_kafka import jars
from tests.interop import installs

HERE = pathlib.Path(__file__).parent / "members"
DEADLINE_S = 120.0
SESSION_MS = 6000  # the least that brokers allow by default


class Event(NamedTuple):
    """What a member said; at: nanoseconds of CLOCK_MONOTONIC."""

    name: str
    at: int
    partitions: frozenset[int]


class Member:
    """One process of one client; a context manager that ends it."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.owned: frozenset[int] = frozenset()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Member:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: dict[str, Any] = json.loads(line)
            partitions = said.get("partitions", [said["partition"]] if "partition" in said else [])
            self._events.put(Event(said["event"], said["at"], frozenset(partitions)))
        self._events.put(None)

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def open(self, group: str, topic: str, protocol: str) -> int:
        """Join; when it subscribed, in nanoseconds."""
        self._tell(f"open {group} {topic} {protocol} {SESSION_MS}")
        return self.wait(lambda one: one.name == "subscribe").at

    def close(self) -> int:
        """Leave; when it began to."""
        self._tell("close")
        began = self.wait(lambda one: one.name == "closing").at
        self.wait(lambda one: one.name == "closed")
        return began

    def wait(self, wanted: Callable[[Event], object], deadline_s: float = DEADLINE_S) -> Event:
        """The next event that is `wanted`; those before it are dropped, `owned` follows them."""
        while True:
            event = self._events.get(timeout=deadline_s)
            if event is None:
                raise SystemExit(f"{self._process.args!r} ended")
            if event.name in ("assigned", "subscribe"):
                self.owned = event.partitions
            if wanted(event):
                return event


def kafkajs(bootstrap: str) -> Member:
    node, modules = installs.node() / "node", installs.npm("kafkajs")
    return Member(
        [str(node), str(HERE / "kafkajs.js"), bootstrap],
        {"NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"}
    )


def librdkafka(bootstrap: str) -> Member:
    return Member([sys.executable, str(HERE / "librdkafka.py"), bootstrap])


def java(bootstrap: str) -> Member:
    options = ["-Xmx256m", "-XX:+UseSerialGC"]
    quiet, _, libraries = jars.classpath()
    path = f"{_compiled()}:{libraries}"
    return Member(["java", *options, quiet, "-cp", path, "Member", bootstrap])


def _compiled() -> str:
    """The folder of Member.class, made anew when the source changed."""
    source = HERE / "Member.java"
    folder = pathlib.Path(tempfile.gettempdir()) / "fastbroker-loadtests-groups"
    made = folder / "Member.class"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(exist_ok=True)
        _, _, libraries = jars.classpath()
        subprocess.run(["javac", "-cp", libraries, "-d", str(folder), str(source)], check=True)
    return str(folder)


CLIENTS: dict[str, Callable[[str], Member]] = {
    "kafkajs": kafkajs,
    "librdkafka": librdkafka,
    "java": java,
}
SPEAKS_CONSUMER = {"librdkafka", "java"}  # KIP-848
