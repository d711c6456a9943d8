"""Starts the processes of one host, keeps them running, and ends them."""
from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fastbroker.config.broker import BrokerConfig
from fastbroker.model import broker_id
from fastbroker.net.address import AddressInUse, listen
from fastbroker.supervisor.child import EXIT_CONFIG, EXIT_DISK, Child, set_process_name

if TYPE_CHECKING:
    from fastbroker.supervisor.restarts import Restarts

log = logging.getLogger(__name__)

STOP_WORKERS_S, STOP_CONTROLLER_S = 20.0, 5.0
LOG_FORMAT = "%(asctime)s %(levelname)s [%(process_name)s] %(name)s: %(message)s"


def default_workers() -> int:
    """One for each physical core that this process may use."""
    allowed = len(os.sched_getaffinity(0))
    try:
        import psutil

        cores = psutil.cpu_count(logical=False) or allowed
    except Exception:  # a container may hide what psutil wants to read
        cores = allowed
    return max(min(cores, allowed), 1)


def run(config: BrokerConfig) -> int:
    """Run the broker until SIGTERM or SIGINT; the exit status.

    Prints one line that begins with `ready` once every worker accepts clients. 0: stopped as asked;
    2: it cannot run with this configuration.
    """
    begun = time.monotonic()
    _log_to_stderr()
    for note in config.notes:
        log.warning("%s", note)
    run_path = os.path.join(config.data_dir, "run")
    is_first = not os.path.exists(run_path)
    os.makedirs(run_path, exist_ok=True)
    try:
        supervisor = _Supervisor(config, begun, is_first=is_first)
    except AddressInUse as error:
        log.error("%s", error)
        return EXIT_CONFIG
    return supervisor.run()


class _Supervisor:
    """is_first: no broker has run in this directory before."""

    def __init__(self, config: BrokerConfig, begun: float, *, is_first: bool) -> None:
        self.config, self.begun, self.is_first = config, begun, is_first
        self.workers = config["fastbroker.workers"] or default_workers()
        self._signals, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = wakeup
        lifeline, self._lifeline = os.pipe()  # kept open here; its end means that we are gone
        own = [self._signals, self._wakeup, self._lifeline]
        self.controller = Child("controller", partial(_run_controller, config), lifeline, own)
        self.children = [self.controller]
        for index in range(self.workers):
            main = partial(_run_worker, config, index, self.workers)
            self.children.append(Child(f"worker-{index}", main, lifeline, own))
        self._needed = list(self.children)  # a start is over when these serve
        self.restarts: Restarts | None = None
        self._add_gateway(lifeline, own)
        self._was_ready = False
        self._is_stopping = False
        self._status = 0

    def _add_gateway(self, lifeline: int, own: list[int]) -> None:
        """The socket is ours: an address that cannot be had ends the start, and who connects while
        the gateway is started again waits."""
        address = self.config.metrics_listener()
        if address is None:
            return
        from fastbroker.supervisor.restarts import Restarts

        sock = listen(address, option="fastbroker.metrics.listener")
        self.restarts = Restarts([*(child.role for child in self.children), "gateway"])
        main = partial(_run_gateway, self.config, self.workers, self.restarts, sock)
        self.children.append(Child("gateway", main, lifeline, list(own)))
        own.append(sock.fileno())  # which no other child has a use for

    def run(self) -> int:
        set_process_name("fb-supervisor")
        import_common()
        signal.set_wakeup_fd(self._wakeup)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        gc.freeze()  # what is here now is shared with every child: the collector leaves it alone
        self.controller.start()
        # The controller imports what is its own while we import what is the workers', once for all.
        import_for_workers(coordinators=not self.is_first)
        gc.freeze()
        gc.enable()
        for child in self.children[1:]:
            child.start()
        while not self._is_stopping:
            self._turn()
        self._stop(self.children[1:], STOP_WORKERS_S)
        self._stop([self.controller], STOP_CONTROLLER_S)
        return self._status

    def _turn(self) -> None:
        """Wait for one thing to happen, and deal with it."""
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        timeout_ms: float | None = None
        now = time.monotonic()
        for child in self.children:
            if child.is_running:
                poll.register(child.pidfd, select.POLLIN)
                if child.ready_fd >= 0:
                    poll.register(child.ready_fd, select.POLLIN)
            elif child.is_given_up:
                continue
            elif child.restart_at <= now:
                child.start()
                timeout_ms = 0
            else:
                wait_ms = (child.restart_at - now) * 1000 + 1
                timeout_ms = wait_ms if timeout_ms is None else min(timeout_ms, wait_ms)
        for fd, _ in poll.poll(timeout_ms):
            if fd == self._signals:
                os.read(self._signals, 64)
                self._is_stopping = True
                _notify("STOPPING=1")
            for child in self.children:
                if fd == child.ready_fd:
                    child.ready()
                    self._announce()
                elif fd == child.pidfd:
                    self._ended(child)

    def _ended(self, child: Child) -> None:
        status = child.ended()
        if status == EXIT_CONFIG and not self._was_ready:
            self._status, self._is_stopping = EXIT_CONFIG, True
            return
        if status == EXIT_DISK:
            # Started on the same page cache, it would take for durable what the disk never got.
            child.is_given_up = True
            self._status = 1
            return
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        log.error("%s has ended (%s): starting it again", child.role, how)
        if self.restarts is not None:
            self.restarts.add(child.role)

    def _announce(self) -> None:
        if self._was_ready or not all(child.is_ready for child in self._needed):
            return
        self._was_ready = True
        listener = self.config.listeners()[0]
        told = self.config.advertised().get(listener.name, listener)
        host = told.reachable_host
        host = f"[{host}]" if ":" in host else host
        took_ms = (time.monotonic() - self.begun) * 1000
        ids = ",".join(str(broker_id(self.config.node_id, n)) for n in range(self.workers))
        print(
            f"ready bootstrap={host}:{told.port} workers={self.workers} brokers={ids}"
            f" data={self.config.data_dir} in {took_ms:.0f} ms",
            flush=True,
        )
        _notify("READY=1")

    def _stop(self, children: list[Child], within_s: float) -> None:
        """End children with SIGTERM, then with SIGKILL what is left."""
        for child in children:
            child.kill(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        while running := [child for child in children if child.is_running]:
            poll = select.poll()
            for child in running:
                poll.register(child.pidfd, select.POLLIN)
            found = {fd for fd, _ in poll.poll(max(deadline - time.monotonic(), 0) * 1000)}
            for child in running:
                if child.pidfd in found:
                    status = child.ended()
                    if status not in (0, -signal.SIGTERM):
                        log.error("%s has ended with status %d", child.role, status)
                        self._status = self._status or 1
                elif not found:
                    log.error("%s did not stop in %.0f s: killed", child.role, within_s)
                    child.kill(signal.SIGKILL)
                    deadline = time.monotonic() + within_s


def import_common() -> None:
    """What every child needs."""
    import uvloop  # noqa: F401

    import fastbroker.metadata.delta
    import fastbroker.net.client
    import fastbroker.net.listener
    import fastbroker.protocol.header
    import fastbroker.storage.log  # noqa: F401


def import_for_workers(*, coordinators: bool) -> None:
    """What every worker needs. coordinators: also what groups and transactions need, which a new
    broker has none of."""
    import fastbroker.worker.main

    if coordinators:
        import fastbroker.worker.group_coordinator
        import fastbroker.worker.transaction_coordinator  # noqa: F401


def _run_controller(
    config: BrokerConfig, ready: Callable[[], object], lifeline_fd: int
) -> None:
    from fastbroker.controller.main import run

    run(config, ready, lifeline_fd)


def _run_worker(
    config: BrokerConfig, index: int, workers: int, ready: Callable[[], object], lifeline_fd: int
) -> None:
    from fastbroker.worker.main import run

    run(config, index, workers, ready, lifeline_fd)


def _run_gateway(
    config: BrokerConfig, workers: int, restarts: Restarts, sock: socket.socket,
    ready: Callable[[], object], lifeline_fd: int,
) -> None:  # fmt: skip
    from fastbroker.gateway.host import Host
    from fastbroker.gateway.main import run

    run(Host(config.data_dir, workers, os.getppid(), restarts.counts), sock, ready, lifeline_fd)


class _ProcessName(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        with open("/proc/self/comm") as comm:
            record.process_name = comm.read().strip().removeprefix("fb-")
        return True


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    handler.addFilter(_ProcessName())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _notify(state: str) -> None:
    """Tell systemd, when it is systemd that started us (sd_notify)."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(state.encode(), path.replace("@", "\0", 1) if path[0] == "@" else path)
