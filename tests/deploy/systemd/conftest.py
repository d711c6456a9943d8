"""The figures of these tests, printed at the end of the run."""
from __future__ import annotations

from collections.abc import Callable

import pytest

Figure = Callable[[str, object], None]
KIND = "service-figure:"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """figure(what, value): printed after the tests."""
    return lambda what, value: record_property(KIND + what, str(value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = [
        (key.removeprefix(KIND), value)
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for key, value in getattr(report, "user_properties", ())
        if key.startswith(KIND)
    ]
    if found:
        terminalreporter.section("the service under systemd")
        for what, value in found:
            terminalreporter.write_line(f"{what}: {value}")
