"""The principal that a forwarded request travels with (Envelope)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, boolean, string


class DefaultPrincipalData(Struct, versions="0", flexible="0+"):
    type: str = string()
    name: str = string()
    token_authenticated: bool = boolean()
