"""One forked process of the broker."""
from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from fastbroker.config.broker import ConfigError
from fastbroker.net.address import AddressInUse
from fastbroker.storage.log_dir import LogDirError
from fastbroker.storage.space import DiskFault

log = logging.getLogger(__name__)

EXIT_CONFIG, EXIT_DISK = 2, 3
PAUSE_FIRST_S, PAUSE_MAX_S = 0.1, 5.0
FAILURES_MAX = 10  # of the first start, about twenty seconds
# Objects made, less objects freed, between two looks of the collector at the youngest: modules are
# no garbage, nor is an image of many partitions, and requests make few cycles.
GC_THRESHOLD = 20_000
STABLE_S = 10.0  # a child that lived so long is started again at once

# ready(), lifeline fd: serve until told to stop.
Main = Callable[[Callable[[], object], int], None]


class Child:
    """A process called fb-<role>. Owned by the supervisor.

    pidfd: readable once it has ended; ready_fd: readable once it serves, or has ended.
    is_given_up: it is not to be started again.
    failures: how often in a row it has ended without having served.
    """

    def __init__(self, role: str, main: Main, lifeline_fd: int, supervisor_fds: list[int]) -> None:
        self.role, self.main = role, main
        self.lifeline_fd, self.supervisor_fds = lifeline_fd, supervisor_fds
        self.pid = self.pidfd = self.ready_fd = -1
        self.is_ready = self.is_given_up = False
        self.started = self.restart_at = 0.0
        self.failures = 0  # in a row, before it ever served
        self._pause_s = 0.0

    @property
    def is_running(self) -> bool:
        return self.pid >= 0

    def start(self) -> None:
        """Fork."""
        self.ready_fd, ready = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that comes before the child has its own handlers would be lost in the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            self._be(ready)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(ready)
        self.pid, self.pidfd = pid, os.pidfd_open(pid)
        self.started = time.monotonic()
        self.is_ready = False

    def _be(self, ready_fd: int) -> None:
        """The child's life; does not return."""
        status = 1
        try:
            gc.set_threshold(GC_THRESHOLD, 20, 20)
            gc.enable()
            os.close(self.ready_fd)
            for fd in self.supervisor_fds:
                os.close(fd)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            faulthandler.enable()  # who is aborted says where it was
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            set_process_name(f"fb-{self.role}")

            def ready() -> None:
                os.write(ready_fd, b"1")
                os.close(ready_fd)

            self.main(ready, self.lifeline_fd)
            status = 0
        except (ConfigError, AddressInUse, LogDirError) as error:
            log.error("%s cannot start: %s", self.role, error)
            status = EXIT_CONFIG
        except DiskFault as error:
            log.critical(
                "%s has ended: %s. It is not started again: check the disk (dmesg, smartctl, fsck),"
                " then restart the broker", self.role, error,
            )  # fmt: skip
            status = EXIT_DISK
        except BaseException:
            log.critical("%s has failed", self.role, exc_info=True)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(status)

    def ready(self) -> bool:
        """`ready_fd` is readable: whether the child serves now."""
        self.is_ready = os.read(self.ready_fd, 1) == b"1"
        if self.is_ready:
            self.failures = 0
        self.close_ready()
        return self.is_ready

    def close_ready(self) -> None:
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1

    def ended(self) -> int:
        """`pidfd` is readable: collect the exit status; negative: the signal that ended it."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.close_ready()
        now = time.monotonic()
        if now - self.started > STABLE_S:
            self._pause_s = 0.0
        self.restart_at = now + self._pause_s
        self._pause_s = min(max(self._pause_s * 2, PAUSE_FIRST_S), PAUSE_MAX_S)
        self.pid = self.pidfd = -1
        self.failures += not self.is_ready
        self.is_ready = False
        return os.waitstatus_to_exitcode(status)

    def kill(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.pid >= 0:
            signal.pidfd_send_signal(self.pidfd, number)


def set_process_name(name: str) -> None:
    """What ps and top show; at most 15 bytes."""
    with open("/proc/self/comm", "w") as comm:
        comm.write(name[:15])
