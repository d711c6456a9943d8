"""deploy/grafana/fastbroker.json: made from its description, whole, and of names that exist."""
from __future__ import annotations

import re
import subprocess
import sys

from fastbroker.metrics.catalogue import FAMILIES
from fastbroker.metrics.family import HISTOGRAM
from tests.deploy.prometheus.queries import DASHBOARD, RULES, dashboard, queries, variables

NAME = re.compile(r"\b(?:kafka|fastbroker|process)_\w+")


def served() -> set[str]:
    """Every name that a series of /metrics may have."""
    names = {name for name, one in FAMILIES.items() if one.kind != HISTOGRAM}
    for name, one in FAMILIES.items():
        if one.kind == HISTOGRAM:
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return names


def test_it_is_what_its_description_makes() -> None:
    script = DASHBOARD.with_name("dashboard.py")
    made = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def test_every_panel_has_a_place_of_its_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_queries_variables_and_alerts_name_what_is_served() -> None:
    texts = [query.expression for query in queries()] + [one[1] for one in variables()]
    expressions = re.findall(r"expr: (.*?)\n        (?:for|labels):", RULES.read_text(), re.S)
    unknown = {name for text in texts + expressions for name in NAME.findall(text)} - served()
    assert unknown == set()
