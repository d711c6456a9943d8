"""/metrics and /healthz: what the host's processes say, as one page."""
from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from time import monotonic

from fastbroker import __version__
from fastbroker.gateway.ask import NoAnswer, ask
from fastbroker.gateway.host import Host
from fastbroker.gateway.http import Response
from fastbroker.gateway.lag import add_lag
from fastbroker.gateway.process import add_process
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.page import CONTENT_TYPE, Page
from fastbroker.metrics.samples import Block, decode, number_of, pid_of

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 2.0  # less than a scrape's usual timeout of 10 s
HEALTHY_WITHIN_S = 1.0
REUSE_S = 0.5  # a page is given again to who asks so soon after it


class Metrics:
    """Owned by the gateway's loop."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._silent: set[str] = set()  # processes that did not answer the last time
        self._making: asyncio.Task[bytes] | None = None
        self._last, self._last_at = b"", float("-inf")

    async def metrics(self) -> Response:
        """The page."""
        return Response(200, await self._page(), CONTENT_TYPE)

    async def health(self) -> Response:
        """200 when every process answers, 503 and which do not otherwise."""

        async def answers(process: str) -> bool:
            try:
                await ask(self.host.socket_path(process), b"ping", within_s=HEALTHY_WITHIN_S)
            except NoAnswer:
                return False
            return True

        names = self.host.asked()
        found = await asyncio.gather(*[answers(name) for name in names])
        silent = [name for name, is_there in zip(names, found, strict=True) if not is_there]
        if silent:
            return Response(503, f"no answer from {', '.join(silent)}\n".encode())
        return Response(200, b"ok\n")

    def forget(self) -> None:
        """Whoever asks next gets a page of its own."""
        self._last_at = float("-inf")

    async def _page(self) -> bytes:
        if monotonic() - self._last_at < REUSE_S:
            return self._last
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make())
        return await asyncio.shield(self._making)

    async def _make(self) -> bytes:
        try:
            page = Page()
            names = self.host.asked()
            told = asyncio.gather(*[self._add(page, name) for name in names])
            await asyncio.gather(told, add_lag(page, self.host, ANSWER_WITHIN_S))
            blocks = dict(zip(names, told.result(), strict=True))
            _add_metadata_lag(page, blocks)
            pids = {name: pid for name in names if (pid := pid_of(blocks[name])) is not None}
            own = {"gateway": os.getpid(), "supervisor": self.host.supervisor}
            self._add_host(page, pids | own)
            self._last, self._last_at = page.encode(), monotonic()
            return self._last
        finally:
            self._making = None

    async def _add(self, page: Page, process: str) -> list[Block]:
        """What a process says; nothing when it does not answer."""
        begun = monotonic()
        blocks: list[Block] = []
        try:
            path = self.host.socket_path(process)
            blocks = decode(await ask(path, b"metrics", within_s=ANSWER_WITHIN_S))
            page.value(c.ANSWER_SECONDS, monotonic() - begun, process=process)
            page.add(process, blocks)
        except (NoAnswer, LookupError, ValueError, EOFError, TypeError) as error:
            if process not in self._silent:
                log.warning("%s does not tell its metrics: %s", process, error)
            self._silent.add(process)
            blocks = []
        else:
            self._silent.discard(process)
        page.value(c.UP, int(process not in self._silent), process=process)
        return blocks

    def _add_host(self, page: Page, pids: dict[str, int]) -> None:
        """What no process says of itself."""
        page.value(c.BUILD_INFO, 1, version=__version__)
        for process, count in self.host.restarts().items():
            page.value(c.RESTARTS, count, process=process)
        for process, pid in pids.items():
            with suppress(OSError):  # it has ended meanwhile
                add_process(page, process, pid)
        directory = self.host.data_dir
        with suppress(OSError):  # whoever writes there says more of it
            disk = os.statvfs(directory)
            page.value(c.DISK_FREE, disk.f_bavail * disk.f_frsize, directory=directory)
            page.value(c.DISK_SIZE, disk.f_blocks * disk.f_frsize, directory=directory)



def _add_metadata_lag(page: Page, told: dict[str, list[Block]]) -> None:
    """How far brokers are behind the controller. It may have answered later: records that were
    committed between two answers of one scrape count, too."""
    committed = number_of(told.get("controller", []), c.METADATA_COMMITTED)
    for process, blocks in told.items():
        applied = number_of(blocks, c.METADATA_APPLIED)
        if committed is not None and applied is not None:
            page.value(c.METADATA_LAG, max(committed - applied, 0), process=process)
