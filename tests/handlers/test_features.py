"""UpdateFeatures, as a broker passes it on."""
from __future__ import annotations

from fastbroker import errors
from fastbroker.protocol.messages.update_features import (
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from fastbroker.protocol.metadata_records import FeatureLevelRecord
from tests.handlers.bench import Bench

Update = UpdateFeaturesRequest.FeatureUpdateKey


def request(level: int, *, dry: bool = False) -> UpdateFeaturesRequest:
    update = Update(feature="transaction.version", max_version_level=level)
    return UpdateFeaturesRequest(feature_updates=[update], validate_only=dry)


def test_it_is_answered_once_the_levels_are_here(slow: Bench) -> None:
    pending = slow.send(request(2), 2)
    slow.forwarded.pop()[2].complete(UpdateFeaturesResponse(error_message=None))
    assert pending.held
    slow.apply(FeatureLevelRecord(name="transaction.version", feature_level=2))
    assert pending.response.error_code == 0


def test_a_dry_run_is_not_waited_for(slow: Bench) -> None:
    pending = slow.send(request(2, dry=True), 2)
    slow.forwarded.pop()[2].complete(UpdateFeaturesResponse(error_message=None))
    assert pending.response.error_code == 0


def test_what_the_controller_refuses(slow: Bench) -> None:
    pending = slow.send(request(9), 2)
    code = errors.InvalidUpdateVersion.code
    refused = UpdateFeaturesResponse(error_code=code, error_message="no")
    slow.forwarded.pop()[2].complete(refused)
    assert (pending.response.error_code, pending.response.error_message) == (code, "no")


def test_a_controller_that_is_not_there(slow: Bench) -> None:
    pending = slow.send(request(2), 2)
    slow.forwarded.pop()[2].fail(errors.RequestTimedOut("the controller was lost"))
    assert pending.response.error_code == errors.RequestTimedOut.code
    assert "the controller was lost" in pending.response.error_message
