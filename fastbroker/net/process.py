"""What a process says of itself: CPU time, memory, descriptors. Some tens of microseconds."""
from __future__ import annotations

import functools
import os
import resource
import time

from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples

_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
STARTED, UTIME, STIME, RSS = 19, 11, 12, 21  # in /proc/PID/stat, counted from the state on


def add_process(samples: Samples, pid: int | None = None) -> None:
    """Add the samples about a process, this one by default. Raises OSError when it is gone."""
    who = "self" if pid is None else str(pid)
    with open(f"/proc/{who}/stat", "rb") as file:
        # The name, in parentheses, may hold anything.
        fields = file.read().rpartition(b")")[2].split()
    samples.value(c.CPU, (int(fields[UTIME]) + int(fields[STIME])) / _TICKS)
    samples.value(c.RESIDENT, int(fields[RSS]) * _PAGE)
    samples.value(c.START_TIME, boot_time() + int(fields[STARTED]) / _TICKS)
    samples.value(c.OPEN_FDS, len(os.listdir(f"/proc/{who}/fd")))
    limit, _ = resource.prlimit(pid or 0, resource.RLIMIT_NOFILE)
    samples.value(c.MAX_FDS, limit)


@functools.cache
def boot_time() -> float:
    """When the host was started, in seconds since the epoch.

    /proc/stat says so, too, but a unit with ProcSubset=pid does not see it.
    """
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
