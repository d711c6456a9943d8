"""ListConfigResources: which resources there are that may have configurations of their own."""
from __future__ import annotations

from collections.abc import Callable, Iterable

from fastbroker.errors import UnsupportedVersion
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.metadata.image import BROKER, CLIENT_METRICS, GROUP, TOPIC, MetadataImage
from fastbroker.protocol.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

BROKER_LOGGER = 8
BY_TYPE = 1  # from this version on a client names types


def _configured(kind: int) -> Callable[[MetadataImage], Iterable[str]]:
    return lambda image: (name for one, name in image.configs if one == kind)


def _brokers(image: MetadataImage) -> Iterable[str]:
    return map(str, sorted(image.brokers))


NAMES: dict[int, Callable[[MetadataImage], Iterable[str]]] = {
    GROUP: _configured(GROUP),
    CLIENT_METRICS: _configured(CLIENT_METRICS),
    BROKER_LOGGER: _brokers,
    BROKER: _brokers,
    TOPIC: lambda image: image.topics,
}


@handles(ListConfigResourcesRequest)
def list_config_resources(
    ctx: RequestContext, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    """Behaviour
    - Every topic and broker; of groups and client metrics, those with a value of their own.
    - UNSUPPORTED_VERSION for a type that there is not.

    Versions: 0 client metrics only; 1 the types that are asked for, all if none is.
    """
    types = request.resource_types or list(NAMES)
    if ctx.api_version < BY_TYPE:
        types = [CLIENT_METRICS]
    if not set(types) <= NAMES.keys():
        return ListConfigResourcesResponse(error_code=UnsupportedVersion.code)
    return ListConfigResourcesResponse(
        config_resources=[
            ListConfigResourcesResponse.ConfigResource(resource_name=name, resource_type=kind)
            for kind in dict.fromkeys(types)
            for name in NAMES[kind](ctx.broker.image)
        ]
    )
