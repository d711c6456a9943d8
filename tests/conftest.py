"""What every folder of tests may rely on."""
from __future__ import annotations

import pytest

from tests.interop.installs import kafka_jars
from tests.sim.schedules import add_options


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.fixture(autouse=True)
def _jars_of_apache_kafka(request: pytest.FixtureRequest) -> None:
    """A test marked `kafka` finds the jars; without a JVM it is skipped, in CI it fails."""
    if request.node.get_closest_marker("kafka") is not None:
        kafka_jars()
