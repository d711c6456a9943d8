"""UpdateFeatures; what is said is Kafka's."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker.errors import InvalidUpdateVersion
from fastbroker.metadata.controller.features import update_features
from fastbroker.protocol.messages.broker_registration import BrokerRegistrationRequest
from fastbroker.protocol.messages.update_features import UpdateFeaturesRequest
from fastbroker.protocol.metadata_records import FeatureLevelRecord
from tests.metadata.controller.cluster import Cluster

Update = UpdateFeaturesRequest.FeatureUpdateKey
TXN, GROUP, META = "transaction.version", "group.version", "metadata.version"
UP, SAFE, UNSAFE = 1, 2, 3


def ask(
    cluster: Cluster, *updates: tuple[str, int, int], version: int = 2, dry: bool = False
) -> Any:
    request = UpdateFeaturesRequest(
        feature_updates=[
            Update(
                feature=name, max_version_level=level, upgrade_type=kind,
                allow_downgrade=kind == SAFE,
            )
            for name, level, kind in updates
        ],
        validate_only=dry,
    )  # fmt: skip
    outcome = update_features(cluster.image, request, version=version, node_id=1)
    cluster.keep(outcome)
    return outcome.response


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.start(1, 2)
    return made


def test_a_new_cluster_has_the_newest_levels(cluster: Cluster) -> None:
    assert cluster.image.features == {META: 30, TXN: 2, GROUP: 1}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_down_and_up_again(cluster: Cluster, version: int) -> None:
    said = ask(cluster, (TXN, 0, SAFE), version=version)
    assert (said.error_code, said.error_message) == (0, None)
    told = [(one.feature, one.error_code, one.error_message) for one in said.results or ()]
    assert told == ([(TXN, 0, "NONE")] if version < 2 else [])
    assert cluster.image.features == {META: 30, GROUP: 1}
    ask(cluster, (TXN, 2, UP), version=version)
    assert cluster.image.features[TXN] == 2


def test_a_cluster_from_before_can_be_upgraded(cluster: Cluster) -> None:
    cluster.apply([FeatureLevelRecord(name=name, feature_level=0) for name in (TXN, GROUP)])
    assert not ask(cluster, (TXN, 2, UP), (GROUP, 1, UP)).error_code
    assert cluster.image.features == {META: 30, TXN: 2, GROUP: 1}


def test_a_dry_run_changes_nothing(cluster: Cluster) -> None:
    before = cluster.image
    assert not ask(cluster, (TXN, 1, SAFE), dry=True).error_code
    assert cluster.image.features == before.features
    assert ask(cluster, (TXN, 9, UP), dry=True).error_code == InvalidUpdateVersion.code


def test_the_same_level_is_no_record(cluster: Cluster) -> None:
    offset = cluster.image.offset
    for kind in (UP, SAFE, UNSAFE):
        assert not ask(cluster, (TXN, 2, kind), (META, 30, kind)).error_code
    assert cluster.image.offset == offset


@pytest.mark.parametrize(
    ("update", "says"),
    [
        ((TXN, 3, UP), "Invalid update version 3 for feature transaction.version. Local controller"
         " 1 only supports versions 0-2"),
        ((TXN, -1, UP), "Invalid update version -1 for feature transaction.version. A feature"
         " version cannot be less than 0."),
        (("x.version", 1, UP), "Invalid update version 1 for feature x.version. Local controller 1"
         " does not support this feature."),
        (("", 1, UP), "Invalid update version 1 for feature . Local controller 1 does not support"
         " this feature."),
        ((TXN, 1, UP), "Invalid update version 1 for feature transaction.version. Can't downgrade"
         " the version of this feature without setting the upgrade type to either safe or unsafe"
         " downgrade."),
        ((TXN, 1, 0), "Invalid update version 1 for feature transaction.version. The controller"
         " does not support the given upgrade type."),
        ((META, 7, SAFE), "Unsupported metadata.version downgrade from 30 to 7. Refusing to perform"
         " the requested downgrade because it might delete metadata information."),
        ((META, 21, UNSAFE), "Unsupported metadata.version downgrade from 30 to 21. Unsafe metadata"
         " downgrade is not supported in this version."),
        ((META, 31, UP), "Invalid update version 31 for feature metadata.version. Local controller"
         " 1 only supports versions 7-30"),
        (("kraft.version", 1, UP), "Invalid update version 1 for feature kraft.version. The quorum"
         " of this controller stays at its version."),
    ],
)  # fmt: skip
def test_what_is_refused(cluster: Cluster, update: tuple[str, int, int], says: str) -> None:
    before = cluster.image
    said = ask(cluster, (GROUP, 0, SAFE), update)
    assert said.error_code == InvalidUpdateVersion.code
    assert said.error_message == (
        "The update failed for all features since the following feature had an error: " + says
    )
    assert cluster.image is before or cluster.image.features == before.features


def test_a_downgrade_to_something_newer(cluster: Cluster) -> None:
    ask(cluster, (TXN, 1, SAFE))
    said = ask(cluster, (TXN, 2, SAFE))
    assert "Can't downgrade to a newer version." in said.error_message


def test_a_broker_that_cannot(cluster: Cluster) -> None:
    ask(cluster, (TXN, 0, SAFE), (GROUP, 0, SAFE))
    cluster.register(
        3,
        features=[
            BrokerRegistrationRequest.Feature(
                name=name, min_supported_version=low, max_supported_version=high
            )
            for name, low, high in ((META, 7, 30), (TXN, 0, 1))
        ],
    )
    said = ask(cluster, (TXN, 2, UP))
    assert said.error_message.endswith("Broker 3 only supports versions 0-1")
    said = ask(cluster, (GROUP, 1, UP))
    assert said.error_message.endswith("Broker 3 does not support this feature.")
    assert not ask(cluster, (TXN, 1, UP)).error_code
