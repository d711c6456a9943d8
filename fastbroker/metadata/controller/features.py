"""UpdateFeatures: the levels that the cluster's features are finalized at (KIP-584).

A level may rise to what every broker and this controller support, and go down when that is asked
for: safely or not, which only metadata.version tells apart. One feature that cannot be updated
stops all of them. Level 0 is told by no record being in force. Kafka: FeatureControlManager.
"""

from __future__ import annotations

from fastbroker import errors
from fastbroker.metadata.controller.outcome import Outcome
from fastbroker.metadata.features import KRAFT_VERSION, METADATA_VERSION, SUPPORTED
from fastbroker.metadata.image import MetadataImage
from fastbroker.protocol.messages.update_features import (
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from fastbroker.protocol.metadata_records import FeatureLevelRecord
from fastbroker.protocol.schema import Struct

UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
KINDS_SINCE = 1  # version from which a downgrade is safe or unsafe; before, it is allowed or not
RESULTS_BEFORE = 2  # versions before this one say success for each feature

Result = UpdateFeaturesResponse.UpdatableFeatureResult
Update = UpdateFeaturesRequest.FeatureUpdateKey


def update_features(
    image: MetadataImage, request: UpdateFeaturesRequest, *, version: int, node_id: int
) -> Outcome:
    """Finalize the levels that are asked for, all of them or none.

    version: of the request. node_id: of this controller, for what it says.
    """
    levels: dict[str, int] = {}
    for update in request.feature_updates:
        try:
            _check(image, update, version, node_id)
        except errors.KafkaError as error:
            said = (
                "The update failed for all features since the following feature had an error: "
                + error.message
            )
            return Outcome([], UpdateFeaturesResponse(error_code=error.code, error_message=said))
        levels[update.feature] = update.max_version_level
    records: list[Struct] = [
        FeatureLevelRecord(name=name, feature_level=level)
        for name, level in levels.items()
        if level != image.features.get(name, 0)
    ]
    response = UpdateFeaturesResponse(error_message=None)
    if version < RESULTS_BEFORE:
        response.results = [
            Result(feature=one.feature, error_message="NONE") for one in request.feature_updates
        ]
    return Outcome([] if request.validate_only else records, response)


def _check(image: MetadataImage, update: Update, version: int, node_id: int) -> None:
    """Raises InvalidUpdateVersion."""
    name, level, kind = update.feature, update.max_version_level, update.upgrade_type
    if version < KINDS_SINCE:
        kind = SAFE_DOWNGRADE if update.allow_downgrade else UPGRADE
    current = image.features.get(name, 0)
    if kind not in (UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
        raise _invalid(update, "The controller does not support the given upgrade type.")
    if level < 0:
        raise _invalid(update, "A feature version cannot be less than 0.")
    _check_range(update, f"Local controller {node_id}", SUPPORTED.get(name))
    for broker in image.brokers.values():
        _check_range(update, f"Broker {broker.id}", broker.features.get(name))
    if level < current and kind == UPGRADE:
        raise _invalid(
            update,
            "Can't downgrade the version of this feature without setting the upgrade type to"
            " either safe or unsafe downgrade.",
        )
    if level > current and kind != UPGRADE:
        raise _invalid(update, "Can't downgrade to a newer version.")
    if name == KRAFT_VERSION and level != current:
        raise _invalid(update, "The quorum of this controller stays at its version.")
    if name == METADATA_VERSION and level < current:
        why = "Refusing to perform the requested downgrade because it might delete metadata"
        raise errors.InvalidUpdateVersion(
            f"Unsupported metadata.version downgrade from {current} to {level}. "
            + (
                "Unsafe metadata downgrade is not supported in this version."
                if kind == UNSAFE_DOWNGRADE
                else f"{why} information."
            )
        )


def _check_range(update: Update, who: str, supported: tuple[int, int] | None) -> None:
    if supported is None or supported == (0, 0):
        if update.max_version_level == 0:
            return
        raise _invalid(update, f"{who} does not support this feature.")
    low, high = supported
    if not low <= update.max_version_level <= high:
        raise _invalid(update, f"{who} only supports versions {low}-{high}")


def _invalid(update: Update, why: str) -> errors.KafkaError:
    return errors.InvalidUpdateVersion(
        f"Invalid update version {update.max_version_level} for feature {update.feature}. {why}"
    )
