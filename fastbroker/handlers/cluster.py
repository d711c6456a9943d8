"""DescribeCluster: the brokers."""
from __future__ import annotations

from fastbroker.errors import KafkaError, MismatchedEndpointType, UnsupportedEndpointType
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.metadata import CLUSTER_OPERATIONS
from fastbroker.handlers.registry import handles
from fastbroker.protocol.messages.describe_cluster import (
    DescribeClusterRequest,
    DescribeClusterResponse,
)

BROKERS, CONTROLLERS = 1, 2


@handles(DescribeClusterRequest)
def describe_cluster(
    ctx: RequestContext, request: DescribeClusterRequest
) -> DescribeClusterResponse:
    """Behaviour
    - Lists the live brokers, and the fenced ones when asked; the controller is this broker.
    - Controllers cannot be asked for here: MISMATCHED_ENDPOINT_TYPE.

    Versions: 1 endpoint type; 2 fenced brokers.
    """
    broker = ctx.broker
    if request.endpoint_type != BROKERS:
        error: KafkaError = UnsupportedEndpointType("1: brokers, 2: controllers")
        if request.endpoint_type == CONTROLLERS:
            error = MismatchedEndpointType("this is a broker: ask for brokers")
        return DescribeClusterResponse(error_code=error.code, error_message=error.message)
    response = DescribeClusterResponse(
        cluster_id=broker.log_dir.cluster_id or "",
        controller_id=broker.broker_id,
        endpoint_type=BROKERS,
        brokers=[
            DescribeClusterResponse.DescribeClusterBroker(
                broker_id=node.id, host=node.host, port=node.port, rack=node.rack, is_fenced=fenced
            )
            for node, fenced in broker.nodes(ctx, fenced=request.include_fenced_brokers)
        ],
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response
