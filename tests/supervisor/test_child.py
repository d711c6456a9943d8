"""One forked process. The children do nothing but what a test wants of them."""
from __future__ import annotations

import os
import pathlib
import select
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from fastbroker.config.broker import ConfigError
from fastbroker.net.address import AddressInUse
from fastbroker.storage.log_dir import LogDirError
from fastbroker.supervisor.child import (
    EXIT_CONFIG,
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    STABLE_S,
    Child,
    Main,
)

TIMEOUT_S = 10.0
Make = Callable[[Main], Child]


def wait(fd: int) -> None:
    assert select.select([fd], [], [], TIMEOUT_S)[0], "nothing came"


def ended(child: Child) -> int:
    """The exit status, once there is one."""
    wait(child.pidfd)
    return child.ended()


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes children that end with the test; the lifeline is kept open until then."""
    reading, writing = os.pipe()
    children: list[Child] = []

    def one(main: Main) -> Child:
        children.append(Child("role", main, reading, [writing]))
        return children[-1]

    yield one
    for fd in (reading, writing):
        os.close(fd)
    for child in children:
        if child.is_running:
            child.kill(signal.SIGKILL)
            ended(child)


def serve(ready: Callable[[], object], lifeline_fd: int) -> None:
    """Ready at once; ends with the lifeline."""
    ready()
    os.read(lifeline_fd, 1)


def test_it_is_named_and_says_when_it_serves(make: Make) -> None:
    child = make(serve)
    child.start()
    wait(child.ready_fd)
    assert child.ready()
    assert child.is_ready
    assert child.ready_fd == -1
    assert pathlib.Path(f"/proc/{child.pid}/comm").read_text().strip() == "fb-role"
    child.kill(signal.SIGTERM)
    assert ended(child) == -signal.SIGTERM
    assert not child.is_running
    assert not child.is_ready
    child.kill(signal.SIGTERM)  # nobody is there: nothing


def test_it_leaves_ctrl_c_to_the_supervisor(make: Make) -> None:
    child = make(serve)
    child.start()
    wait(child.ready_fd)
    child.ready()
    child.kill(signal.SIGINT)
    assert not select.select([child.pidfd], [], [], 0.05)[0]


def test_it_ends_when_its_starter_is_gone() -> None:
    reading, writing = os.pipe()
    child = Child("role", serve, reading, [writing])
    child.start()
    wait(child.ready_fd)
    os.close(writing)
    assert ended(child) == 0
    os.close(reading)


def test_one_that_ends_before_it_serves_was_never_ready(make: Make) -> None:
    child = make(lambda ready, lifeline: None)
    child.start()
    wait(child.ready_fd)
    assert not child.ready()
    assert ended(child) == 0


@pytest.mark.parametrize(("error", "status"), [
    (ConfigError("no"), EXIT_CONFIG), (AddressInUse("no"), EXIT_CONFIG),
    (LogDirError("no"), EXIT_CONFIG), (ValueError("a bug"), 1), (KeyboardInterrupt(), 1),
])  # fmt: skip
def test_the_exit_status_says_whether_to_try_again(
    make: Make, error: BaseException, status: int
) -> None:
    def fail(_: Callable[[], object], __: int) -> None:
        raise error

    child = make(fail)
    child.start()
    assert ended(child) == status


def test_it_is_started_again_at_once_and_then_after_growing_pauses(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = make(lambda ready, lifeline: None)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pauses = []
    for _ in range(8):
        child.start()
        ended(child)
        pauses.append(round(child.restart_at - now, 3))
    assert pauses[:4] == [0, PAUSE_FIRST_S, 2 * PAUSE_FIRST_S, 4 * PAUSE_FIRST_S]
    assert pauses[-1] == PAUSE_MAX_S
    child.start()
    now += STABLE_S + 1
    ended(child)
    assert child.restart_at == now, "it has served long enough"
