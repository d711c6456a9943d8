"""One Apache Kafka node, broker and controller at once, on loopback.

    with KafkaNode(directory, port=22500) as kafka:
        kafka.bootstrap

The directory holds server.properties, log (what the process says), pid, and data/.
"""
from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence

from tests.apache_kafka.tools import command, run
from tests.broker_process import free_ports

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 60.0
# A test's node is there for seconds: soon up, and small.
QUICK = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# What Kafka's own start script gives a broker: for whoever measures it.
SHIPPED = (
    "-Xmx1g", "-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
)  # fmt: skip


class KafkaNode:
    """A node started into `directory`; `port` for clients, port + 1 for its controller."""

    def __init__(
        self,
        directory: pathlib.Path | str,
        *,
        port: int | None = None,
        node_id: int = 1,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = QUICK,
    ) -> None:
        self.directory = pathlib.Path(directory)
        self.port = port if port is not None else free_ports(2)
        self.controller_port = self.port + 1
        self.node_id = node_id
        self.settings = dict(settings or {})
        self.java_options = java_options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> KafkaNode:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and wait."""
        stop(self.directory)
        if self._process is not None:
            self._process.wait(STOP_DEADLINE_S)

    def properties(self) -> dict[str, str]:
        """server.properties: a single node, internal topics fit for one; then `settings`."""
        out = {
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "controller.quorum.voters": f"{self.node_id}@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "log.dirs": str((self.directory / "data").resolve()),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        out.update(self.settings)
        return out

    def start(self) -> None:
        """Format unless formatted, start, return when it accepts and answers for its topics.

        RuntimeError with the end of its log when it does not come up in START_DEADLINE_S.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "server.properties"
        config.write_text("".join(f"{k}={v}\n" for k, v in self.properties().items()))
        if not (self.directory / "data" / "meta.properties").exists():
            done = run(
                "kafka-storage",
                ["format", "-t", CLUSTER_ID, "-c", str(config)],
                capture_output=True,
            )
            if done.returncode:
                raise RuntimeError(f"format failed:\n{done.stdout}{done.stderr}")
        options = (*self.java_options, "-Djava.awt.headless=true")
        with open(self.directory / "log", "w") as log:
            process = self._process = subprocess.Popen(
                command("kafka-server", [str(config)], heap="512m", java_options=options),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (self.directory / "pid").write_text(str(process.pid))
        end = time.monotonic() + START_DEADLINE_S
        while not _accepts(self.port):
            if process.poll() is not None or time.monotonic() > end:
                self.stop()
                said = (self.directory / "log").read_text()[-3000:]
                raise RuntimeError(f"Kafka did not come up:\n{said}")
            time.sleep(0.1)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def stop(directory: pathlib.Path | str) -> None:
    """End the node started into `directory` and wait; nothing when there is none."""
    noted = pathlib.Path(directory) / "pid"
    if not noted.exists():
        return
    pid = int(noted.read_text())
    noted.unlink()
    if b"kafka.Kafka" not in _command_line(pid):
        return  # it ended before, and the number may belong to another process now
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + STOP_DEADLINE_S
    while b"kafka.Kafka" in _command_line(pid):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _command_line(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
