"""What every folder of tests may rely on."""
from __future__ import annotations

import signal

import pytest

from tests import run_times
from tests.interop.installs import kafka_jars
from tests.sim.schedules import add_options

# What waits for other processes takes longest. `pytest -n 4 --dist loadfile --no-loadscope-reorder`
# hands out files in the order of collection: these first, so that no long one is left for the end.
LONG = ("slow", "crash", "interop", "kafka")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure() -> None:
    """What a shell runs in the background ignores SIGINT, and so would what a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run in parallel, files with tests that are marked as long ones come first."""
    if not hasattr(config, "workerinput"):
        return
    long = {item.path for item in items if any(map(item.get_closest_marker, LONG))}
    items.sort(key=lambda item: item.path not in long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    run_times.tell(terminalreporter)


@pytest.fixture(autouse=True)
def _jars_of_apache_kafka(request: pytest.FixtureRequest) -> None:
    """A test marked `kafka` finds the jars; without a JVM it is skipped, in CI it fails."""
    if request.node.get_closest_marker("kafka") is not None:
        kafka_jars()
