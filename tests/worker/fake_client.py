"""A BrokerClient whose other side is the test."""
from __future__ import annotations

from typing import Any

from fastbroker.model import Deferred


class FakeClient:
    """calls: (request, its Deferred) in the order in which they were made, until they are taken."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Deferred[Any]]] = []

    def call(self, request: Any, version: int, *, timeout_ms: float = 30_000) -> Deferred[Any]:
        assert type(request).VERSIONS[0] <= version <= type(request).VERSIONS[1]
        assert timeout_ms > 0
        answer: Deferred[Any] = Deferred()
        self.calls.append((request, answer))
        return answer

    def take(self, kind: str) -> tuple[Any, Deferred[Any]]:
        """The oldest call, which is of this kind."""
        request, answer = self.calls.pop(0)
        assert type(request).__name__ == kind
        return request, answer
