"""What the coordinator wants to know about whoever sent a request."""
from __future__ import annotations

from typing import Protocol


class Caller(Protocol):
    """The sender of a request; a handler's context is one."""

    @property
    def api_version(self) -> int: ...

    @property
    def client_id(self) -> str | None: ...

    @property
    def client_host(self) -> str: ...
