"""The processes of this host, as the gateway knows them."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastbroker.net.answering import socket_path


class Host(NamedTuple):
    """workers: how many. restarts(): by process, how often it was started again.

    supervisor: pid of the process that started all others.
    """

    data_dir: str
    workers: int
    supervisor: int
    restarts: Callable[[], dict[str, int]]

    def worker_names(self) -> list[str]:
        return [f"worker-{index}" for index in range(self.workers)]

    def asked(self) -> list[str]:
        """Processes that answer questions."""
        return ["controller", *self.worker_names()]

    def socket_path(self, process: str) -> str:
        return socket_path(self.data_dir, process)
