"""The gateway process, from its first file to its last."""
from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable

import uvloop

from fastbroker.gateway.host import Host
from fastbroker.gateway.http import HttpServer
from fastbroker.gateway.metrics import Metrics
from fastbroker.shared import Line

log = logging.getLogger(__name__)


def run(
    host: Host,
    sock: socket.socket,
    ready: Callable[[], object],
    lifeline_fd: int,
    line: Line | None = None,
) -> None:
    """Serve `sock`, which listens, until SIGTERM, or until `lifeline_fd` reads its end.

    line: where to beat.
    """
    loop = uvloop.new_event_loop()
    metrics = Metrics(host)
    server = HttpServer(sock, {"/metrics": metrics.metrics, "/healthz": metrics.health})

    def lifeline() -> None:
        if not os.read(lifeline_fd, 1):
            log.warning("the supervisor is gone: the gateway stops")
            loop.stop()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing here changes while it runs
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.add_reader(lifeline_fd, lifeline)
    loop.run_until_complete(server.start())
    if line is not None:
        line.keep_beating(loop, lambda: (0, 0))
    ready()
    loop.run_forever()
    server.close()
