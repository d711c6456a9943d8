"""Our broker answers as Apache Kafka did, but for the differences in differences.py."""
from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator

import pytest

from tests.broker_process import BrokerProcess
from tests.recordings.differences import KNOWN, obsolete, unaccepted
from tests.recordings.play import play
from tests.recordings.recordings import Difference, differences, load
from tests.recordings.scenario import Scenario, scenarios

ALL = list(scenarios())
SHOWN = 12


class Replay:
    """Plays each scenario once against one broker."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.recorded = load()

    @functools.cache  # noqa: B019  (lives as long as the module's broker)
    def differences(self, one: Scenario) -> list[Difference]:
        name = f"{one.group}/{one.name}"
        return differences(name, self.recorded[name], play(one, self.bootstrap))


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    folder: pathlib.Path = tmp_path_factory.mktemp("recordings")
    with BrokerProcess(folder, workers=1) as broker:
        yield Replay(broker.bootstrap)


@pytest.mark.parametrize("one", ALL, ids=[f"{one.group}/{one.name}" for one in ALL])
def test_we_answer_as_kafka_did(replay: Replay, one: Scenario) -> None:
    found = unaccepted(replay.differences(one))
    assert not found, f"{len(found)} differences\n" + "\n".join(map(str, found[:SHOWN]))


def test_every_accepted_difference_is_still_there(replay: Replay) -> None:
    found = [d for one in ALL for d in replay.differences(one)]
    assert not obsolete(found), "list them no more"
    assert all(entry.reason for entry in KNOWN)


def test_every_scenario_is_recorded() -> None:
    assert set(load()) == {f"{one.group}/{one.name}" for one in ALL}
