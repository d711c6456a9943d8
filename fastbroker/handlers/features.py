"""UpdateFeatures: the levels of the cluster's features."""
from __future__ import annotations

from fastbroker.errors import RequestTimedOut
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.creation import arrived
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.protocol.messages.update_features import (
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)


@handles(UpdateFeaturesRequest)
def update_features(
    ctx: RequestContext, request: UpdateFeaturesRequest
) -> Deferred[UpdateFeaturesResponse]:
    """Behaviour
    - The controller decides; see metadata/controller/features.py. Answered once this broker has the
      new levels, which ApiVersions tells.

    Versions: 1 safe and unsafe downgrades, dry run; 2 success is not told for each feature.
    """
    done: Deferred[UpdateFeaturesResponse] = Deferred()
    levels = {one.feature: one.max_version_level for one in request.feature_updates}

    def answered(answer: Deferred[UpdateFeaturesResponse]) -> None:
        if answer.error is not None:
            code = getattr(answer.error, "code", RequestTimedOut.code)
            said = str(answer.error)
            done.complete(UpdateFeaturesResponse(error_code=code, error_message=said))
            return
        if answer.result().error_code or request.validate_only:
            done.complete(answer.result())
            return
        arrived(ctx, has_arrived).then(lambda _: done.complete(answer.result()))

    def has_arrived() -> bool:
        features = ctx.broker.image.features
        return all(features.get(name, 0) == level for name, level in levels.items())

    ctx.broker.forward(request, ctx).then(answered)
    return done
