"""The controller process, from its first file to its last."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import uvloop

from fastbroker.config.broker import BrokerConfig
from fastbroker.controller.home import Home
from fastbroker.controller.node import Node
from fastbroker.controller.requests import Requests
from fastbroker.net.address import listen
from fastbroker.net.listener import Listener
from fastbroker.shared import Line
from fastbroker.storage.disk import Disk
from fastbroker.storage.space import DiskFault, is_fault

if TYPE_CHECKING:
    from fastbroker.net.answering import Answering

log = logging.getLogger(__name__)

FRAME_MAX_BYTES = 100 * 1024 * 1024


def run(
    config: BrokerConfig,
    ready: Callable[[], object],
    lifeline_fd: int,
    line: Line | None = None,
) -> None:
    """Serve until SIGTERM, or until `lifeline_fd` reads its end: whoever started us is gone.

    ready: called once requests are accepted and the quorum has a leader.
    line: where to beat, and where new settings lie when SIGHUP comes.
    SIGINT is left to whoever started us. Raises what ended it otherwise.
    """
    loop = uvloop.new_event_loop()
    failures: list[BaseException] = []

    def fatal(error: BaseException) -> None:
        failures.append(error)
        loop.stop()

    def unexpected(_: Any, context: dict[str, Any]) -> None:
        fatal(context.get("exception") or RuntimeError(context["message"]))

    def lifeline() -> None:
        if not os.read(lifeline_fd, 1):
            log.warning("the supervisor is gone: the controller stops")
            loop.stop()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A signal that comes before the loop runs would be lost: it waits until then.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    loop.call_soon(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGTERM})
    loop.set_exception_handler(unexpected)
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.add_reader(lifeline_fd, lifeline)
    home = Home(config, Disk())
    # Workers connect while the log is opened, and wait; they would have to try again otherwise.
    socket = listen(home.socket_path)
    node = Node(loop, home, home.identity(), fatal=fatal)
    node.start()
    requests = Requests(node, config)
    listener = Listener(
        loop,
        socket,
        name="controller",
        dispatch=requests.dispatch,
        closed=requests.closed,
        max_frame_bytes=FRAME_MAX_BYTES,
    )
    listener.start()
    answering = _answering(loop, config, node)
    if line is not None:
        reload = partial(requests.reload, line)
        loop.add_signal_handler(signal.SIGHUP, reload)
        loop.call_soon(reload)  # what came before the handler was there
        line.keep_beating(loop, lambda: (0, 0))
    log.info("controller %d of cluster %s is ready", config.node_id, node.identity.cluster_id)
    ready()
    try:
        loop.run_forever()
    finally:
        requests.close()
        listener.close()
        if answering is not None:
            answering.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(home.socket_path)
        if not failures:
            node.close()
        loop.close()
    if failures:
        if is_fault(failures[0]):
            raise DiskFault(f"{home.path}: {failures[0]}") from failures[0]
        raise failures[0]


def _answering(loop: AbstractEventLoop, config: BrokerConfig, node: Node) -> Answering | None:
    """What others of this host may ask, when anybody does."""
    if config.metrics_listener() is None:
        return None
    from fastbroker.controller.metrics import ControllerMetrics
    from fastbroker.net.answering import Answering, socket_path

    metrics = ControllerMetrics(loop, node)
    metrics.delay.start()
    path = socket_path(config.data_dir, "controller")
    answering = Answering(loop, path, {b"metrics": metrics.answer})
    answering.start()
    return answering
