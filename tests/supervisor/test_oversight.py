"""What systemd hears, and how a hung process ends."""
from __future__ import annotations

import pathlib
import signal
import socket
from collections.abc import Iterator
from math import inf
from typing import Any

import pytest

from fastbroker.shared import Counts, SharedMemory
from fastbroker.supervisor import systemd
from fastbroker.supervisor.oversight import ABORT_S, Oversight, status

WATCHDOG_S = 8.0


class FakeChild:
    is_running = is_ready = True

    def __init__(self, role: str) -> None:
        self.role = role
        self.signals: list[int] = []

    def kill(self, number: int) -> None:
        self.signals.append(number)


@pytest.fixture
def heard(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end."""
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.setblocking(False)
        yield sock


def messages(sock: socket.socket) -> list[str]:
    out = []
    while True:
        try:
            out.append(sock.recv(4096).decode())
        except BlockingIOError:
            return out


def test_without_systemd_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    oversight = Oversight(systemd.watchdog_s())
    assert oversight.beat_every_s == 0
    assert oversight.look([], SharedMemory(1), 0.0, is_ready=True) == inf


def test_the_watchdog_is_fed_while_every_process_answers(heard: socket.socket) -> None:
    oversight, memory = Oversight(WATCHDOG_S), SharedMemory(2)
    children: list[Any] = [FakeChild("controller"), FakeChild("worker-0")]
    lines = [memory.line(slot, oversight.beat_every_s) for slot in range(2)]
    now = 100.0
    for _ in range(20):
        for line in lines:
            line.beat(connections=0, partitions=0)
        now += oversight.look(children, memory, now, is_ready=False)
        assert messages(heard) == ["WATCHDOG=1"]
    # From now on one of them does not turn.
    fed, begun = 0, now
    while not children[1].signals:
        lines[0].beat(connections=0, partitions=0)
        now += oversight.look(children, memory, now, is_ready=False)
        fed += len(messages(heard))
    assert children[1].signals == [signal.SIGABRT]
    assert now - begun <= WATCHDOG_S / 2 + 2 * WATCHDOG_S / 8 + ABORT_S
    assert fed <= 5, "systemd's own patience begins"
    for _ in range(3):
        now += oversight.look(children, memory, now, is_ready=False)
    assert children[1].signals[:2] == [signal.SIGABRT, signal.SIGKILL]
    assert messages(heard) == []
    # It has ended, and another has begun.
    memory.clear(1)
    oversight.ended(children[1])
    lines[0].beat(connections=0, partitions=0)
    oversight.look(children, memory, now, is_ready=False)
    assert messages(heard) == ["WATCHDOG=1"]
    assert not children[0].signals


def test_the_status_is_told_when_it_has_changed(heard: socket.socket) -> None:
    oversight, memory = Oversight(0.0), SharedMemory(1)
    children: list[Any] = [FakeChild("worker-0")]
    now = 0.0
    for partitions in (3, 3, 4):
        memory.line(0, 1.0).beat(connections=2, partitions=partitions)
        now += oversight.look(children, memory, now, is_ready=True)
    assert messages(heard) == [
        "STATUS=1 of 1 worker serving 3 partitions to 2 connections",
        "STATUS=1 of 1 worker serving 4 partitions to 2 connections",
    ]


def test_the_status_names_who_does_not_serve() -> None:
    children: list[Any] = [FakeChild(role) for role in ("controller", "worker-0", "worker-1")]
    children[2].is_ready = False
    counts = [Counts(), Counts(9, 2, 5), Counts()]
    assert status(children, counts) == (
        "1 of 2 workers serving 5 partitions to 2 connections; not serving: worker-1"
    )


def test_whose_watchdog_it_is(monkeypatch: pytest.MonkeyPatch, heard: socket.socket) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert systemd.watchdog_s() == 60
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_s() == 0
    monkeypatch.delenv("WATCHDOG_PID")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert systemd.watchdog_s() == 0


def test_a_notification_nobody_takes_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    systemd.notify("READY=1")
