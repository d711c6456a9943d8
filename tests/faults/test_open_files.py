"""Clients that use up a worker's open files: the log goes on, and connections are taken again."""
from __future__ import annotations

import contextlib
import pathlib
import resource
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.broker_process import BrokerProcess, wait_until
from tests.faults.mounts import MIB
from tests.faults.wire import Wire
from tests.recordings.connection import Closed

pytestmark = pytest.mark.crash
FILES, RESERVED = 256, 64
RESUME_S = 5.0


@contextlib.contextmanager
def few_files() -> Iterator[None]:
    """Processes that are started here may have FILES open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_segments_are_rolled_and_logs_opened_while_clients_have_all_files(
    tmp_path: pathlib.Path,
) -> None:
    broker = BrokerProcess(tmp_path, workers=1, settings=[f"log.segment.bytes={MIB}"])
    with contextlib.ExitStack() as running, contextlib.ExitStack() as crowd:
        with few_files():
            running.enter_context(broker)
        wire = running.enter_context(Wire(broker))
        wire.create("t")
        worker = psutil.Process(broker.roles()["fb-worker-0"])
        for _ in range(FILES + 44):
            crowd.enter_context(socket.create_connection(("127.0.0.1", broker.port)))
        wait_until(
            lambda: any("refused a connection" in line for line in broker.lines), 5, "the line"
        )
        wait_until(lambda: FILES - worker.num_fds() <= RESERVED, 5, "files to be used up")
        used = sum(worker.cpu_times()[:2])
        begun = time.monotonic()
        for _ in range(5):
            assert wire.produce("t", bytes(MIB - 4096)).error_code == 0
        wire.create("new")
        assert wire.produce("new", b"v").error_code == 0
        assert len(list((tmp_path / "broker-1" / "t-0").glob("*.log"))) == 5
        time.sleep(max(1.0 - (time.monotonic() - begun), 0))  # what is measured is idle time, too
        assert sum(worker.cpu_times()[:2]) - used < 0.5
        crowd.close()
        wait_until(lambda: _can_connect(broker), RESUME_S, "a connection to be served")
        assert wire.values("new") == [b"v"]
        assert not [line for line in broker.lines if "offline" in line or "ERROR" in line]


def _can_connect(broker: BrokerProcess) -> bool:
    try:
        with Wire(broker) as another:
            return another.end_offset("new") == 1
    except (Closed, OSError):
        return False
