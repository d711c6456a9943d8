"""Consumer lag: what groups have committed on one worker, of partitions that another leads."""
from __future__ import annotations

from fastbroker.gateway.host import Host
from fastbroker.metrics.page import Page


async def add_lag(page: Page, host: Host, within_s: float) -> None:
    """Add what is known of every group's lag; a worker that does not answer is left out."""
