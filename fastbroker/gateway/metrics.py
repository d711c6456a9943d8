"""/metrics and /healthz: what the host's processes say, as one page."""
from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic

from fastbroker import __version__
from fastbroker.gateway.ask import NoAnswer, ask
from fastbroker.gateway.host import Host
from fastbroker.gateway.http import Response
from fastbroker.gateway.lag import add_lag
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.page import CONTENT_TYPE, Page
from fastbroker.metrics.samples import Block, Samples, decode, number_of
from fastbroker.net.process import add_process

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 3.0  # less than a scrape's usual timeout of 10 s
HEALTHY_WITHIN_S = 1.0
REUSE_S = 0.5  # a page is given again to who asks so soon after it


class Metrics:
    """Owned by the gateway's loop."""

    def __init__(self, host: Host) -> None:
        self.host = host
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
            _add_metadata_lag(page, dict(zip(names, told.result(), strict=True)))
            self._add_host(page)
            self._last, self._last_at = page.encode(), monotonic()
            return self._last
        finally:
            self._making = None

    async def _add(self, page: Page, process: str) -> list[Block]:
        """What a process says; nothing when it does not answer."""
        begun = monotonic()
        blocks: list[Block] | None = None
        try:
            path = self.host.socket_path(process)
            blocks = decode(await ask(path, b"metrics", within_s=ANSWER_WITHIN_S))
        except (NoAnswer, ValueError, EOFError, TypeError) as error:
            log.info("%s does not tell its metrics: %s", process, error)
        page.value(c.UP, int(blocks is not None), process=process)
        if blocks is not None:
            page.value(c.ANSWER_SECONDS, monotonic() - begun, process=process)
            page.add(process, blocks)
        return blocks or []

    def _add_host(self, page: Page) -> None:
        """What no process says of itself."""
        page.value(c.BUILD_INFO, 1, version=__version__)
        for process, count in self.host.restarts().items():
            page.value(c.RESTARTS, count, process=process)
        for process, pid in ("gateway", os.getpid()), ("supervisor", self.host.supervisor):
            samples = Samples()
            try:
                add_process(samples, pid)
            except OSError:
                continue  # it has just ended, and we are about to
            page.add(process, decode(samples.encode()))
        disk = os.statvfs(self.host.data_dir)
        directory = self.host.data_dir
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
