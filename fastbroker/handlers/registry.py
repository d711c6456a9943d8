"""Which function answers which API, in which versions.

    @handles(ListOffsetsRequest)
    def list_offsets(ctx: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse: ...

A handler gives a response, a Deferred of one, or None (no answer is sent). The APIs announced to
clients, dispatch, and the README's table follow from these lines. All of them are collected by
importing handlers/served.py.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from fastbroker.protocol.api import api
from fastbroker.protocol.schema import Struct, versions

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Served(NamedTuple):
    """One served API. two_stage: the next request of a connection is handled before this one is
    answered; answers keep their order."""

    handler: Handler
    first: int
    last: int
    two_stage: bool


HANDLERS: dict[int, Served] = {}


def handles(
    request: type[Struct], served: str | None = None, *, two_stage: bool = False
) -> Callable[[H], H]:
    """Register a handler of `request`; `served`: a range like "2-4", by default all stable ones."""
    kind = api(request.KEY)
    first, last = versions(served) if served is not None else (kind.first, kind.last_stable)
    assert kind.first <= first <= last <= kind.last

    def register(handler: H) -> H:
        assert request.KEY not in HANDLERS, f"{kind.name} has two handlers"
        HANDLERS[request.KEY] = Served(handler, first, last, two_stage)
        return handler

    return register
