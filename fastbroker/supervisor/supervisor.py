"""Starts the processes of one host, keeps them running, and ends them."""
from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from fastbroker.config.broker import BrokerConfig
from fastbroker.model import broker_id
from fastbroker.net.address import AddressInUse, listen
from fastbroker.shared import Line, SharedMemory
from fastbroker.supervisor import systemd
from fastbroker.supervisor.child import (
    EXIT_CONFIG,
    EXIT_DISK,
    FAILURES_MAX,
    Child,
    set_process_name,
)
from fastbroker.supervisor.log_lines import log_to_stderr
from fastbroker.supervisor.oversight import Oversight
from fastbroker.supervisor.reload import reload

log = logging.getLogger(__name__)

STOP_CONTROLLER_S = 5.0
STOP_LOOK_S = 1.0  # how often systemd is told that a stop goes on

Load = Callable[[], BrokerConfig]


def default_workers() -> int:
    """One for each physical core that this process may use."""
    allowed = len(os.sched_getaffinity(0))
    try:
        import psutil

        cores = psutil.cpu_count(logical=False) or allowed
    except Exception:  # a container may hide what psutil wants to read
        cores = allowed
    return max(min(cores, allowed), 1)


def run(config: BrokerConfig, load: Load | None = None) -> int:
    """Run the broker until SIGTERM or SIGINT; the exit status.

    load(): the configuration, read anew, when SIGHUP comes; raises ConfigError. None: there is no
    file, and SIGHUP ends the broker, too.
    Prints one line that begins with `ready` once every worker accepts clients. 0: stopped as asked;
    2: it cannot run with this configuration.
    """
    begun = time.monotonic()
    log_to_stderr()
    for note in config.notes:
        log.warning("%s", note)
    run_path = os.path.join(config.data_dir, "run")
    is_first = not os.path.exists(run_path)
    os.makedirs(run_path, exist_ok=True)
    try:
        supervisor = _Supervisor(config, load, begun, is_first=is_first)
    except AddressInUse as error:
        log.error("%s", error)
        return EXIT_CONFIG
    return supervisor.run()


class _Supervisor:
    """is_first: no broker has run in this directory before."""

    def __init__(
        self, config: BrokerConfig, load: Load | None, begun: float, *, is_first: bool
    ) -> None:
        self.config, self.load, self.begun, self.is_first = config, load, begun, is_first
        self.workers = config["fastbroker.workers"] or default_workers()
        self._signals, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = wakeup
        lifeline, self._lifeline = os.pipe()  # kept open here; its end means that we are gone
        own = [self._signals, self._wakeup, self._lifeline]
        self.oversight = Oversight(systemd.watchdog_s())
        self.controller = Child("controller", partial(self._controller, 0), lifeline, own)
        self.children = [self.controller]
        for index in range(self.workers):
            main = partial(self._worker, index)
            self.children.append(Child(f"worker-{index}", main, lifeline, own))
        self._needed = list(self.children)  # a start is over when these serve
        if address := config.metrics_listener():
            # The socket is ours: an address that cannot be had ends the start, and who connects
            # while the gateway is started again waits.
            sock = listen(address, option="fastbroker.metrics.listener")
            main = partial(self._gateway, sock)
            self.children.append(Child("gateway", main, lifeline, list(own)))
            own.append(sock.fileno())  # which no other child has a use for
        self._shared = SharedMemory(len(self.children))
        self._was_ready = False
        self._is_stopping = False
        self._status = 0

    def _controller(
        self, slot: int, ready: Callable[[], object], lifeline_fd: int
    ) -> None:
        from fastbroker.controller.main import run

        run(self.config, ready, lifeline_fd, self._line(slot))

    def _worker(self, index: int, ready: Callable[[], object], lifeline_fd: int) -> None:
        from fastbroker.worker.main import run

        line = self._line(1 + index)
        run(self.config, index, self.workers, ready, lifeline_fd, line)

    def _gateway(
        self, sock: socket.socket, ready: Callable[[], object], lifeline_fd: int
    ) -> None:
        from fastbroker.gateway.host import Host
        from fastbroker.gateway.main import run

        host = Host(self.config.data_dir, self.workers, os.getppid(), self._restarts)
        run(host, sock, ready, lifeline_fd, self._line(1 + self.workers))

    def _line(self, slot: int) -> Line:
        """Of the process that calls it."""
        return self._shared.line(slot, self.oversight.beat_every_s)

    def _restarts(self) -> dict[str, int]:
        """By process, how often it was started again."""
        roles = [child.role for child in self.children]
        return {role: self._shared.counts(slot).restarts for slot, role in enumerate(roles)}

    def run(self) -> int:
        set_process_name("fb-supervisor")
        import_common()
        signal.set_wakeup_fd(self._wakeup)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
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
        self._stop_all()
        return self._status

    def _turn(self) -> None:
        """Wait for one thing to happen, and deal with it."""
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        now = time.monotonic()
        wait_s = self.oversight.look(self.children, self._shared, now, is_ready=self._was_ready)
        for child in self.children:
            if child.is_running:
                poll.register(child.pidfd, select.POLLIN)
                if child.ready_fd >= 0:
                    poll.register(child.ready_fd, select.POLLIN)
            elif child.is_given_up:
                continue
            elif child.restart_at <= now:
                child.start()
                wait_s = 0
            else:
                wait_s = min(wait_s, child.restart_at - now + 0.001)
        for fd, _ in poll.poll(None if wait_s == float("inf") else wait_s * 1000):
            if fd == self._signals:
                self._signaled(os.read(self._signals, 64))
            for child in self.children:
                if fd == child.ready_fd:
                    child.ready()
                    self._announce()
                elif fd == child.pidfd:
                    self._ended(child)

    def _signaled(self, numbers: bytes) -> None:
        if self.load is None or set(numbers) & {signal.SIGTERM, signal.SIGINT}:
            self._is_stopping = True
            return
        self.config = reload(self.config, self.load, is_ready=self._was_ready)
        self._shared.write(self.config.reloadable())
        for child in self.children:
            child.kill(signal.SIGHUP)

    def _ended(self, child: Child) -> None:
        status = child.ended()
        slot = self.children.index(child)
        self._shared.clear(slot)
        self.oversight.ended(child)
        if status == EXIT_CONFIG and not self._was_ready:
            self._status, self._is_stopping = EXIT_CONFIG, True
            return
        if status == EXIT_DISK:
            # Started on the same page cache, it would take for durable what the disk never got.
            child.is_given_up = True
            self._status = 1
            return
        if child.failures >= FAILURES_MAX and child in self._needed and not self._was_ready:
            log.critical("%s has failed %d times: the broker cannot start", child.role,
                         child.failures)  # fmt: skip
            self._status, self._is_stopping = 1, True
            return
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        log.error("%s has ended (%s): starting it again", child.role, how)
        self._shared.restarted(slot)

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
        systemd.notify("READY=1", f"STATUS=ready at {host}:{told.port}")

    def _stop_all(self) -> None:
        """Workers, so that they can be taken out of the cluster; then the controller."""
        within_s = self.config["fastbroker.stop.timeout.ms"] / 1000
        systemd.notify(
            "STOPPING=1",
            f"STATUS=stopping: {self.workers} workers answer what is asked and close their logs",
            # The deadline is ours; the unit's TimeoutStopSec only has to outlast this line's way.
            systemd.extend(within_s + 2 * STOP_CONTROLLER_S),
        )
        begun = time.monotonic()
        self._stop(self.children[1:], within_s)
        systemd.notify("STATUS=stopping: the controller closes its log")
        self._stop([self.controller], STOP_CONTROLLER_S)
        took_s = time.monotonic() - begun
        log.info("stopped in %.1f s, exit status %d", took_s, self._status)
        systemd.notify(f"STATUS=stopped in {took_s:.1f} s")

    def _stop(self, children: list[Child], within_s: float) -> None:
        """End children with SIGTERM, then with SIGKILL what is left."""
        for child in children:
            child.kill(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        while running := [child for child in children if child.is_running]:
            self.oversight.feed()
            poll = select.poll()
            for child in running:
                poll.register(child.pidfd, select.POLLIN)
            left_s = max(deadline - time.monotonic(), 0)
            found = {fd for fd, _ in poll.poll(min(left_s, STOP_LOOK_S) * 1000)}
            for child in running:
                if child.pidfd in found:
                    status = child.ended()
                    if status not in (0, -signal.SIGTERM):
                        log.error("%s has ended with status %d", child.role, status)
                        self._status = self._status or 1
                elif time.monotonic() >= deadline:
                    log.error("%s did not stop in %.0f s: killed; the next start reads its logs"
                              " as after a crash", child.role, within_s)  # fmt: skip
                    child.kill(signal.SIGKILL)
            if time.monotonic() >= deadline:
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
