"""What the load generator itself is busy with: while it has time left, its figures are a broker's.

Locust's greenlets share one thread. `main thread` is how much of a core that thread uses: near 1.0
the generator is the bottleneck, whatever else the figures say; `thread waiting` is how long it had
work and no core to do it on. A sleep of 10 ms says how late greenlets come to run (`generator
delay`): every latency that a user takes has that in it.
"""
from __future__ import annotations

import pathlib
import resource
import time

import gevent
import psutil

from loadtests.tally.recorder import Recorder

NAP_S = 0.01
DELAY = "generator delay"
SCHEDULED = pathlib.Path("/proc/thread-self/schedstat")


def watch(recorder: Recorder) -> None:
    """Read the gauges every second and count delays, until killed."""
    psutil.cpu_percent()  # the first answer is of no use
    while True:
        begun, waited = time.monotonic(), _waited_s()
        process, thread = _cpu_s(whole=True), _cpu_s(whole=False)
        delays_us = []
        while time.monotonic() < begun + 1:
            nap = time.perf_counter_ns()
            gevent.sleep(NAP_S)
            delays_us.append((time.perf_counter_ns() - nap) // 1000 - int(NAP_S * 1e6))
        took = time.monotonic() - begun
        recorder.series.at(int(time.time())).cell(DELAY).latencies.add(delays_us)
        recorder.gauge("process", (_cpu_s(whole=True) - process) / took)
        recorder.gauge("main thread", (_cpu_s(whole=False) - thread) / took)
        recorder.gauge("thread waiting", (_waited_s() - waited) / took)
        recorder.gauge("machine", psutil.cpu_percent() / 100)


def _waited_s() -> float:
    """Seconds that this thread could have run and had no core."""
    return int(SCHEDULED.read_text().split()[1]) / 1e9


def _cpu_s(*, whole: bool) -> float:
    """Seconds of CPU, user and system, of this process or of this thread."""
    used = resource.getrusage(resource.RUSAGE_SELF if whole else resource.RUSAGE_THREAD)
    return used.ru_utime + used.ru_stime
