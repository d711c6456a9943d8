"""Envelope (58): broker forwards a client request to the controller with the client principal."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, blob, i16


class EnvelopeRequest(Struct, key=58, versions="0", flexible="0+"):
    request_data: Buffer = blob()
    request_principal: Buffer | None = blob(nullable="0+")
    client_host_address: Buffer = blob()


class EnvelopeResponse(Struct, key=58, versions="0", flexible="0+"):
    response_data: Buffer | None = blob(default=None, nullable="0+")
    error_code: int = i16()
