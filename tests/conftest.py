"""What every folder of tests may rely on."""
from __future__ import annotations

import pytest

from tests.interop.installs import kafka_jars


@pytest.fixture(autouse=True)
def _jars_of_apache_kafka(request: pytest.FixtureRequest) -> None:
    """A test marked `kafka` finds the jars; without a JVM it is skipped, in CI it fails."""
    if request.node.get_closest_marker("kafka") is not None:
        kafka_jars()
