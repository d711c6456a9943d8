"""What a broker on this machine takes of its cores: what other processes do is not in that."""
from __future__ import annotations

import time

import gevent
import psutil

from loadtests.tally.recorder import Recorder

GAUGE = "broker"


def watch(recorder: Recorder, pid: int) -> None:
    """Read the cores that a process and its children use, every second, until killed or it ends."""
    try:
        process = psutil.Process(pid)
        before = cpu_s(process)
        while True:
            begun = time.monotonic()
            gevent.sleep(1)
            now = cpu_s(process)
            recorder.gauge(GAUGE, max(0.0, now - before) / (time.monotonic() - begun))
            before = now
    except psutil.NoSuchProcess:
        return


def cpu_s(process: psutil.Process) -> float:
    """Seconds of CPU, user and system, of a process and all that descend from it and live."""
    used = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            if one is process:
                raise
            continue  # a child ended meanwhile
        used += times.user + times.system
    return used
