"""How the small timings are taken: the process's CPU time, warm, the median of several runs."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable

RUNS = 7
RUN_S = 0.05


def cpu_us(work: Callable[[], object], *, runs: int = RUNS) -> float:
    """Microseconds of CPU (user and system, all threads) for one call of `work`."""
    count, spent = 1, 0.0
    while spent < RUN_S / 4:  # how many calls make a run; this warms, too
        count *= 2
        spent = _spent(work, count)
    count = max(int(count * RUN_S / spent), 1)
    return statistics.median(_spent(work, count) / count for _ in range(runs)) * 1e6


def _spent(work: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        work()
    return time.process_time() - begun
