"""The queries of deploy/grafana/fastbroker.json as Grafana would send them: variables filled in."""
from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DEPLOY = pathlib.Path(__file__).parents[3] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "fastbroker.json"
RULES = DEPLOY / "prometheus" / "alerts.yml"
# What "All" is for each variable, and Grafana's own where Prometheus scrapes all two seconds.
EVERYTHING = {
    "job": ".*",
    "instance": ".*",
    "topic": ".*",
    "group": ".*",
    "__rate_interval": "10s",
}
VARIABLE = re.compile(r"\$(\w+)")
LABEL = re.compile(r"{{(\w+)}}")  # of a legend
LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    row: str
    panel: str
    expression: str
    legend: str

    def __str__(self) -> str:
        return f"{self.row} / {self.panel} / {self.legend}: {self.expression}"


def filled_in(text: str, values: Mapping[str, str] = EVERYTHING) -> str:
    """`text` with its $variables; KeyError for one that the dashboard does not have."""
    return VARIABLE.sub(lambda match: values[match[1]], text)


def dashboard() -> dict[str, Any]:
    """fastbroker.json."""
    whole: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return whole


def queries(values: Mapping[str, str] = EVERYTHING) -> Iterator[Query]:
    """All queries of all panels, in order."""
    row = ""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
            continue
        for target in panel["targets"]:
            expression = filled_in(target["expr"], values)
            yield Query(row, panel["title"], expression, target["legendFormat"])


def variables() -> Iterator[tuple[str, str, str]]:
    """Name, selector and label of each variable that is found by a query."""
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            match = LABEL_VALUES.fullmatch(variable["definition"])
            assert match, variable
            yield variable["name"], filled_in(match[1]), match[2]
