"""Consumer groups with the protocol of KIP-848; fastbroker.group.consumer decides, see its guide.

Only while the feature group.version is at level 1 and group.coordinator.rebalance.protocols names
"consumer"; otherwise UNSUPPORTED_VERSION tells clients to use the classic protocol.
"""
from __future__ import annotations

from fastbroker.errors import UnsupportedVersion
from fastbroker.handlers.context import Broker, RequestContext
from fastbroker.handlers.groups import GROUP_OPERATIONS
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from fastbroker.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

GROUP_VERSION = "group.version"


@handles(ConsumerGroupHeartbeatRequest)
def consumer_group_heartbeat(
    ctx: RequestContext, request: ConsumerGroupHeartbeatRequest
) -> ConsumerGroupHeartbeatResponse | Deferred[ConsumerGroupHeartbeatResponse]:
    """Behaviour
    - Member epoch 0 joins, -1 leaves, -2 leaves for a while (static members); others stay.
    - Answered once what it changes is on disk on every in-sync replica; with the assignment when
      that changed, to newcomers, and to members that say everything about themselves.
    - Says when to send the next heartbeat: soon while the member or others wait.

    Versions: 1 the member makes its id; subscriptions by regex.
    """
    why = _not_served(ctx.broker)
    if why is not None:
        return ConsumerGroupHeartbeatResponse(
            error_code=UnsupportedVersion.code, error_message=why
        )
    return ctx.broker.groups.members.consumer_group_heartbeat(ctx, request)


@handles(ConsumerGroupDescribeRequest)
def consumer_group_describe(
    ctx: RequestContext, request: ConsumerGroupDescribeRequest
) -> ConsumerGroupDescribeResponse:
    """Behaviour
    - Groups of the consumer protocol, with what members own and are to own; others are
      GROUP_ID_NOT_FOUND.

    Versions: 1 the type of each member: classic or consumer.
    """
    why = _not_served(ctx.broker)
    if why is not None:
        return ConsumerGroupDescribeResponse(
            groups=[
                ConsumerGroupDescribeResponse.DescribedGroup(
                    group_id=group_id, error_code=UnsupportedVersion.code, error_message=why
                )
                for group_id in request.group_ids
            ]
        )
    response = ctx.broker.groups.administration.describe_consumers(ctx, request)
    if request.include_authorized_operations:
        for group in response.groups:
            if not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
    return response


def _not_served(broker: Broker) -> str | None:
    """Why consumer groups are not served; None: they are."""
    if broker.image.features.get(GROUP_VERSION, 0) < 1:
        return (
            "the consumer protocol is off: set the feature group.version to 1, or use"
            " group.protocol=classic"
        )
    if "consumer" not in broker.config["group.coordinator.rebalance.protocols"]:
        return (
            "the consumer protocol is off: add consumer to group.coordinator.rebalance.protocols,"
            " or use group.protocol=classic"
        )
    return None
