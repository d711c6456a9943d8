"""The broker under test, and the matrix printed at the end of the run."""
from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from tests.broker_process import BrokerProcess
from tests.interop.broker import Broker
from tests.interop.kafka_tools import admin, name, offline_tool, tool, topic

__all__ = ["admin", "name", "offline_tool", "tool", "topic"]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Two workers of their own, or what $FASTBROKER_TEST_BOOTSTRAP names."""
    bootstrap = os.environ.get("FASTBROKER_TEST_BOOTSTRAP")
    if bootstrap:
        data = os.environ.get("FASTBROKER_TEST_DATA")
        yield Broker(bootstrap, pathlib.Path(data) if data else None)
        return
    data_dir = tmp_path_factory.mktemp("interop") / "data"
    with BrokerProcess(data_dir, workers=2) as process:
        yield Broker(process.bootstrap, data_dir)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print producers by consumers: records that arrived intact, of how many, over all codecs."""
    cells: dict[tuple[str, str], str] = {}
    codecs: dict[str, str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for key, value in getattr(report, "user_properties", ()):
                kind, _, who = key.partition(":")
                if kind == "interop-cell":
                    producer, _, consumer = who.partition(">")
                    cells[producer, consumer] = str(value)
                elif kind == "interop-codecs":
                    codecs[who] = str(value)
    if not cells:
        return
    producers = list(dict.fromkeys(producer for producer, _ in cells))
    consumers = list(dict.fromkeys(consumer for _, consumer in cells))
    width = max(map(len, producers)) + 1
    terminalreporter.section("interop: what producers (rows) sent, as consumers (columns) got it")
    widths = {consumer: max(len(consumer), 11) for consumer in consumers}
    titles = "  ".join(f"{consumer:>{widths[consumer]}}" for consumer in consumers)
    terminalreporter.write_line(f"{'':{width}}{titles}")
    for producer in producers:
        row = (f"{cells.get((producer, c), '-'):>{widths[c]}}" for c in consumers)
        line = f"{producer:{width}}{'  '.join(row)}   {codecs.get(producer, '')}"
        terminalreporter.write_line(line.rstrip())
