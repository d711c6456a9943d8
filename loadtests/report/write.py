"""The files of a report."""
from __future__ import annotations

import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from loadtests.report import picture, table
from loadtests.report.figures import Figures

RUN, TABLE, PICTURE = "run.json", "report.md", "report.png"
logger = logging.getLogger(__name__)


def table_of(told: Mapping[str, Any]) -> str:
    """The table of one run."""
    return table.report([Figures(told)])


def into(directory: pathlib.Path, told: Mapping[str, Any]) -> None:
    """Write all of a run into `directory`; without matplotlib no picture."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / RUN).write_text(json.dumps(told))
    draw(directory, [Figures(told)])


def draw(directory: pathlib.Path, runs: list[Figures]) -> None:
    """The table and the picture of one run or of several."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / TABLE).write_text(table.report(runs))
    try:
        picture.draw(directory / PICTURE, runs)
    except ImportError:
        logger.warning("no picture: pip install 'fastbroker[load]' installs matplotlib")


def read(directory: pathlib.Path) -> Figures:
    """A run that was written."""
    return Figures(json.loads((directory / RUN).read_text()))
