"""`fastbroker start` as processes: ready, stopped, killed, refused."""
from __future__ import annotations

import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.supervisor.supervisor import default_workers
from tests.broker_process import ROOT, BrokerProcess, free_ports, wait_until
from tests.handlers.bench import content

DEADLINE_S = 15.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Two workers that the tests of this file share; each leaves them running."""
    with BrokerProcess(tmp_path_factory.mktemp("data"), workers=2) as started:
        yield started


def metadata(port: int) -> Any:
    """Ask one worker; raises OSError when it is not there."""
    request = encode_request(MetadataRequest(topics=[]), 9, 1, "test")
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as sock:
        sock.sendall(b"".join(map(content, request)))
        data = b""
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
            more = sock.recv(65536)
            if not more:
                raise ConnectionError("closed")
            data += more
    return decode_response(MetadataRequest, 9, memoryview(data)[4:])[1]


def brokers(port: int) -> list[int]:
    try:
        return [one.node_id for one in metadata(port).brokers]
    except OSError:
        return []


def both_serve(port: int) -> None:
    wait_until(lambda: brokers(port) == [1, 1001], DEADLINE_S, "both brokers")


def start(data_dir: pathlib.Path, *args: str, port: int | None = None) -> tuple[int, str]:
    """Exit status and output of a start that does not succeed."""
    command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", str(data_dir)]
    command += ["--port", str(port or free_ports(1)), "--workers", "1", *args]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_ready_line(broker: BrokerProcess) -> None:
    (line,) = [line for line in broker.lines if line.startswith("ready")]
    assert f"bootstrap={broker.bootstrap} workers=2 brokers=1,1001" in line
    assert str(broker.data_dir) in line
    assert set(broker.roles()) == {"fb-controller", "fb-worker-0", "fb-worker-1"}
    for port in (broker.port, broker.port + 1):
        both_serve(port)


def test_a_killed_worker_comes_back_while_the_other_serves(broker: BrokerProcess) -> None:
    old = broker.kill("fb-worker-1")
    assert 1 in brokers(broker.port)
    wait_until(lambda: brokers(broker.port + 1) == [1, 1001], DEADLINE_S, "the new worker")
    assert broker.roles()["fb-worker-1"] != old


def test_a_killed_controller_comes_back_and_nobody_is_fenced_for_good(
    broker: BrokerProcess,
) -> None:
    old = broker.kill("fb-controller")
    assert brokers(broker.port) == [1, 1001], "workers serve without a controller"
    wait_until(lambda: broker.roles().get("fb-controller") not in (None, old), DEADLINE_S, "it")
    for port in (broker.port, broker.port + 1):
        both_serve(port)


def test_a_port_in_use_is_exit_2(broker: BrokerProcess, tmp_path: pathlib.Path) -> None:
    status, said = start(tmp_path, port=broker.port)
    assert status == 2
    assert str(broker.port) in said
    assert "Traceback" not in said


def test_a_directory_in_use_is_exit_2(broker: BrokerProcess) -> None:
    status, said = start(broker.data_dir)
    assert status == 2
    assert "another process" in said
    assert str(broker.data_dir) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("setting", ["no.such.key=1", "num.partitions=zero", "nonsense", "=1"])
def test_a_setting_that_cannot_be_is_exit_2(tmp_path: pathlib.Path, setting: str) -> None:
    status, said = start(tmp_path, "--set", setting)
    assert status == 2
    assert setting.partition("=")[0] in said
    assert "Traceback" not in said


def test_a_directory_of_another_node_is_exit_2(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "broker-1"
    directory.mkdir()
    (directory / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    status, said = start(tmp_path)
    assert status == 2
    assert "belongs to node 7" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_leaves_a_clean_directory(
    tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    broker = BrokerProcess(tmp_path, workers=1)
    broker.start()
    children = [os.pidfd_open(pid) for pid in broker.roles().values()]
    os.kill(broker.pid, number)
    assert broker.stop() == 0
    for child in children:
        assert select.select([child], [], [], 0)[0], "children end before their supervisor"
        os.close(child)
    said = json.loads((tmp_path / "broker-1" / ".kafka_cleanshutdown").read_text())
    assert said["brokerEpoch"] >= 0
    broker.start()
    assert not (tmp_path / "broker-1" / ".kafka_cleanshutdown").exists(), "it is used once"
    assert broker.stop() == 0


def test_killed_its_children_end_by_themselves(tmp_path: pathlib.Path) -> None:
    broker = BrokerProcess(tmp_path, workers=1)
    broker.start()
    children = [os.pidfd_open(pid) for pid in broker.roles().values()]
    os.kill(broker.pid, signal.SIGKILL)
    for child in children:
        assert select.select([child], [], [], DEADLINE_S)[0], "it still runs"
        os.close(child)
    broker.stop()
    broker.start()
    assert broker.stop() == 0


def test_a_worker_for_each_core_that_it_may_use() -> None:
    assert 1 <= default_workers() <= len(os.sched_getaffinity(0))
