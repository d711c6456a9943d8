"""The worker process, from its first file to its last."""
from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop

from fastbroker.config.broker import BrokerConfig
from fastbroker.shared import Line
from fastbroker.worker.worker import Worker

log = logging.getLogger(__name__)


def run(
    config: BrokerConfig,
    index: int,
    workers: int,
    ready: Callable[[], object],
    lifeline_fd: int,
    line: Line | None = None,
) -> None:
    """Serve as worker `index` of `workers` until SIGTERM, or until `lifeline_fd` reads its end:
    whoever started us is gone.

    ready: called once clients are accepted. SIGINT is left to whoever started us.
    line: where to beat, and where new settings lie when SIGHUP comes.
    Raises what ended it otherwise: LogDirError, AddressInUse, OSError, or a bug.
    """
    loop = uvloop.new_event_loop()
    failures: list[BaseException] = []

    def fatal(error: BaseException) -> None:
        failures.append(error)
        loop.stop()

    def unexpected(_: Any, context: dict[str, Any]) -> None:
        fatal(context.get("exception") or RuntimeError(context["message"]))

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A signal that comes before the loop runs would be lost: it waits until then.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    loop.call_soon(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGTERM})
    loop.set_exception_handler(unexpected)
    worker = Worker(loop, config, index, workers=workers, ready=ready, fatal=fatal)

    def lifeline() -> None:
        if not os.read(lifeline_fd, 1):
            log.warning("the supervisor is gone: worker %d stops", index)
            loop.remove_reader(lifeline_fd)
            worker.stop(loop.stop, is_controlled=False)

    loop.add_signal_handler(signal.SIGTERM, worker.stop, loop.stop)
    loop.add_reader(lifeline_fd, lifeline)
    if line is not None:
        reload = partial(worker.reload, line)
        loop.add_signal_handler(signal.SIGHUP, reload)
        loop.call_soon(reload)  # what came before the handler was there
        line.keep_beating(loop, worker.count)
    worker.start()
    loop.run_forever()
    if failures:
        raise failures[0]
    worker.close()
    if failures:
        raise failures[0]
    loop.close()
