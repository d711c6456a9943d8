"""ApiVersions: what is served."""
from __future__ import annotations

import re
from functools import cache

from fastbroker.errors import InvalidRequest
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.registry import HANDLERS, handles
from fastbroker.metadata.features import SUPPORTED
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

PRODUCE = 0
SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
SOFTWARE_MAX = 128


@cache
def _served() -> list[ApiVersionsResponse.ApiVersion]:
    """What is announced; the handlers are all there before the first request comes."""
    return [
        ApiVersionsResponse.ApiVersion(
            api_key=key,
            min_version=0 if key == PRODUCE else served.first,
            max_version=served.last,
        )
        for key, served in sorted(HANDLERS.items())
    ]


@handles(ApiVersionsRequest)
def api_versions(ctx: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    """Behaviour
    - Lists exactly the APIs that are served, in exactly their versions; but Produce from 0, because
      librdkafka before 2.11 decides by that whether it may compress (KAFKA-18659).
    - Remembers the client's software for log lines (KIP-511); a name or version of other characters
      is INVALID_REQUEST.
    - A version that is not served is answered in version 0, see dispatch.py.

    Versions: 3 adds software and features (KIP-584); 4 lists features whose lowest level is 0.
    """
    if ctx.api_version >= 3:
        software = request.client_software_name, request.client_software_version
        for text in software:
            if len(text) > SOFTWARE_MAX or not SOFTWARE.fullmatch(text):
                return ApiVersionsResponse(error_code=InvalidRequest.code)
        ctx.broker.clients[ctx.connection] = software
    image = ctx.broker.image
    return ApiVersionsResponse(
        api_keys=_served(),
        supported_features=[
            ApiVersionsResponse.SupportedFeatureKey(name=name, min_version=low, max_version=high)
            for name, (low, high) in sorted(SUPPORTED.items())
            if low > 0 or ctx.api_version >= 4
        ],
        finalized_features_epoch=image.offset,
        finalized_features=[
            ApiVersionsResponse.FinalizedFeatureKey(
                name=name, max_version_level=level, min_version_level=level
            )
            for name, level in sorted(image.features.items())
        ],
    )
