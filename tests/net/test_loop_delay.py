"""How late a loop is."""
from __future__ import annotations

import asyncio
import time

from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples, decode
from fastbroker.net.loop_delay import EVERY_S, LoopDelay


def test_a_loop_that_is_held_up_is_late(loop: asyncio.AbstractEventLoop) -> None:
    delay = LoopDelay(loop)
    delay.start()
    loop.run_until_complete(asyncio.sleep(0))
    time.sleep(EVERY_S + 0.25)  # what holds a loop up
    loop.run_until_complete(asyncio.sleep(0.002))
    delay.close()
    samples = Samples()
    delay.add(samples)
    ((_, name, _, counts, total),) = decode(samples.encode())
    assert name == c.LOOP_DELAY.name
    late = memoryview(counts).cast("q")
    beyond = sum(late[at] for at, bound in enumerate(c.LATENCY_S) if bound > 0.2)
    assert (sum(late), beyond) == (1, 1)
    assert 0.2 < total < 60
