"""Every handler, collected: importing this module fills the registry."""
from __future__ import annotations

from fastbroker.handlers import (  # noqa: F401
    api_versions,
    cluster,
    configs,
    coordinators,
    fetch,
    groups,
    log_dirs,
    markers,
    metadata,
    offsets,
    produce,
    producer_ids,
    topics,
)
from fastbroker.handlers.registry import HANDLERS, Served

SERVED: dict[int, Served] = dict(sorted(HANDLERS.items()))
