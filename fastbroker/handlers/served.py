"""Every handler, collected: importing this module fills the registry."""
from __future__ import annotations

from fastbroker.handlers import (  # noqa: F401
    api_versions,
    cluster,
    configs,
    consumer_groups,
    coordinators,
    features,
    fetch,
    groups,
    log_dirs,
    markers,
    metadata,
    offsets,
    produce,
    topics,
    transactions,
)
from fastbroker.handlers.registry import HANDLERS, Served

SERVED: dict[int, Served] = dict(sorted(HANDLERS.items()))
