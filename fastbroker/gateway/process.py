"""What the kernel knows of a process: CPU time, memory, descriptors.

Looked up here and not by the process itself: listing the descriptors of ten thousand open logs
would hold up its clients.
"""
from __future__ import annotations

import functools
import os
import resource
import time

from fastbroker.metrics import catalogue as c
from fastbroker.metrics.page import Page

_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
UTIME, STIME, STARTED, RSS = 11, 12, 19, 21  # fields of /proc/PID/stat, counted from the state on


def add_process(page: Page, name: str, pid: int) -> None:
    """Add the samples about a process. Raises OSError when it is gone."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The name, in parentheses, may hold anything.
        fields = file.read().rpartition(b")")[2].split()
    page.value(c.CPU, (int(fields[UTIME]) + int(fields[STIME])) / _TICKS, process=name)
    page.value(c.RESIDENT, int(fields[RSS]) * _PAGE, process=name)
    page.value(c.START_TIME, _boot_time() + int(fields[STARTED]) / _TICKS, process=name)
    page.value(c.OPEN_FDS, _open_fds(pid), process=name)
    page.value(c.MAX_FDS, resource.prlimit(pid, resource.RLIMIT_NOFILE)[0], process=name)


def _open_fds(pid: int) -> int:
    directory = f"/proc/{pid}/fd"
    # Linux 6.2 and newer tell how many there are, before that it has to be counted.
    return os.stat(directory).st_size or len(os.listdir(directory))


@functools.cache
def _boot_time() -> float:
    """When the host was started, in seconds since the epoch.

    /proc/stat says so, too, but a unit with ProcSubset=pid does not see it.
    """
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
