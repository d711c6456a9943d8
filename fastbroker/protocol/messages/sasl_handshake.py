"""SaslHandshake (17): choose a SASL mechanism."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, string


class SaslHandshakeRequest(Struct, key=17, versions="0-1"):
    mechanism: str = string()


class SaslHandshakeResponse(Struct, key=17, versions="0-1"):
    error_code: int = i16()
    mechanisms: list[str] = array(string())
