"""Consumer lag: what groups have committed on one worker, of partitions that another leads.

What is asked and answered is told in worker/lag.py.
"""
from __future__ import annotations

import asyncio
import logging
import marshal
import time
from array import array
from collections.abc import Iterable
from time import monotonic
from typing import Any

from fastbroker.gateway.ask import NoAnswer, ask
from fastbroker.gateway.host import Host
from fastbroker.gateway.lag_rows import Committed, Rows, Standing
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.labels import label
from fastbroker.metrics.page import Page
from fastbroker.model import WORKER_STRIDE

log = logging.getLogger(__name__)

Item = tuple[str, bytes, bytes]


async def add_lag(page: Page, host: Host, within_s: float) -> None:
    """Add what is known of every group's lag; a worker that does not answer is left out."""
    until = monotonic() + within_s
    names = host.worker_names()
    told = await _ask_all(host, [(name, b"committed") for name in names], until)
    committed = Committed()
    for answer in told:
        if answer is not None:
            committed.add(*answer)
    asked = {
        broker: names[broker // WORKER_STRIDE]
        for broker in committed.asked
        if 0 <= broker < WORKER_STRIDE * len(names)
    }
    answers = await _ask_all(
        host,
        [
            (name, b"positions " + marshal.dumps(committed.asked[broker].items))
            for broker, name in asked.items()
        ],
        until,
    )
    standing = {
        broker: Standing.of(*answer)
        for broker, answer in zip(asked, answers, strict=True)
        if answer is not None
    }
    rows = Rows(len(committed.sums), round(time.time() * 1000))
    for broker, one in committed.asked.items():
        rows.add(one, standing.get(broker))
    rows.write(page, committed.sums)
    groups = [label("consumergroup", group) for group in committed.members]
    page.series(c.GROUP_MEMBER_COUNT, groups, array("q", committed.members.values()))
    page.value(c.GROUPS_FOLDED, committed.untold)


async def _ask_all(
    host: Host, questions: Iterable[tuple[str, bytes]], until: float
) -> list[tuple[Any, ...] | None]:
    """The answers of processes, in the order of the questions."""
    return await asyncio.gather(*[_ask(host, name, text, until) for name, text in questions])


async def _ask(host: Host, process: str, question: bytes, until: float) -> tuple[Any, ...] | None:
    path = host.socket_path(process)
    try:
        answer = marshal.loads(await ask(path, question, within_s=until - monotonic()))
    except (NoAnswer, ValueError, EOFError, TypeError) as error:
        log.info("%s does not tell the lag of its groups: %s", process, error)
        return None
    assert isinstance(answer, tuple)
    return answer
