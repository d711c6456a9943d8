"""How a panel, a variable and a dashboard are written in Grafana's classic JSON model.

What a dashboard shows is said elsewhere (dashboard.py), in the few words that this file offers.
The model: https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/
view-dashboard-json-model/ (schemaVersion 36: Grafana 9.0 and every later one reads it).
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

COLUMNS = 24  # the grid's width
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Shorthand in queries: which series the variables at the top of the dashboard choose.
SELECTORS = {
    "HOST": 'job=~"$job", instance=~"$instance"',
    "TOPIC": 'topic=~"$topic"',
    "GROUP": 'consumergroup=~"$group"',
}
GREEN, AMBER, RED, BLUE = "green", "#EAB839", "red", "blue"


@dataclass(frozen=True)
class Panel:
    """One panel. `queries`: PromQL by legend; `steps`: colours from a value upwards."""

    title: str
    kind: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 6
    height: int = 8
    help: str = ""
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    words: Mapping[str, str] | None = None  # what a value is shown as
    none: str | None = None  # shown where there is no series
    decimals: int | None = None
    stacked: bool = False
    columns: Mapping[str, str] | None = None  # of a table: label or `Value #A` -> heading
    column_units: Mapping[str, str] | None = None  # of a table: heading -> unit

    def wide(self, width: int) -> Panel:
        return replace(self, width=width)


def stat(title: str, query: str, **more: Any) -> Panel:
    """A number with its recent course."""
    return Panel(title, "stat", {title: query}, **{"width": 3, "height": 4, **more})


def graph(title: str, queries: Mapping[str, str], **more: Any) -> Panel:
    """Lines over time; a legend's {{label}} is filled in from the series."""
    return Panel(title, "timeseries", queries, **{"width": 8, **more})


def table(title: str, queries: Mapping[str, str], **more: Any) -> Panel:
    """One line for each set of labels, a column for each query."""
    return Panel(title, "table", queries, **{"width": 24, **more})


def bars(title: str, queries: Mapping[str, str], **more: Any) -> Panel:
    """A bar for each series, as it is now."""
    return Panel(title, "bargauge", queries, **{"width": 8, **more})


def dashboard(
    title: str,
    rows: Mapping[str, Sequence[Panel]],
    variables: Sequence[dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """The whole, as Grafana imports it; `rows`: panels by heading, from left to right."""
    return {
        "title": title,
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one crosshair in all panels
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": list(variables)},
        "annotations": {"list": [_alerts()]},
        "panels": list(_laid_out(rows)),
        **more,
    }


def source_variable() -> dict[str, Any]:
    """Which Prometheus: Grafana's default one unless another is chosen."""
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
    }


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """A choice of any number of the values that `query` finds; all of them at first."""
    query = _chosen(query)
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _alerts() -> dict[str, Any]:
    """Marks in all panels where an alert fired."""
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": RED,
        "expr": _chosen('ALERTS{alertstate="firing", HOST}'),
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}} {{process}} {{consumergroup}} {{topic}}",
        "step": "60s",
    }


def _chosen(query: str) -> str:
    for word, selector in SELECTORS.items():
        query = query.replace(word, selector)
    return query


def _laid_out(rows: Mapping[str, Sequence[Panel]]) -> Iterator[dict[str, Any]]:
    top = number = 0
    for heading, panels in rows.items():
        number += 1
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": heading, "gridPos": place, "panels": []}
        top, left, tallest = top + 1, 0, 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": place, **_json(panel)}
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _json(panel: Panel) -> dict[str, Any]:
    body = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "targets": [
            _target(panel, letter, legend, query)
            for letter, (legend, query) in zip("ABCDEFGH", panel.queries.items(), strict=False)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
    }
    if panel.kind == "table":
        body["transformations"] = _transformations(panel)
        first = (panel.columns or {})["Value #A"]
        body["options"] = {**body["options"], "sortBy": [{"displayName": first, "desc": True}]}
    return body


def _target(panel: Panel, letter: str, legend: str, query: str) -> dict[str, Any]:
    target = {"refId": letter, "datasource": SOURCE, "expr": _chosen(query)}
    target["legendFormat"] = legend
    if panel.kind in ("table", "bargauge"):
        target |= {"instant": True, "range": False}
    if panel.kind == "table":
        target["format"] = "table"
    return target


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.steps],
        },
    }
    if panel.decimals is not None:
        field["decimals"] = panel.decimals
    if panel.none is not None:
        field["noValue"] = panel.none
    if panel.words:
        words = {value: {"text": text} for value, text in panel.words.items()}
        field["mappings"] = [{"type": "value", "options": words}]
    if panel.kind in ("timeseries", "bargauge"):
        field["min"] = 0
    if panel.kind == "timeseries":
        field["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 40 if panel.stacked else 5,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
        if len(panel.steps) > 1:  # a line where it becomes bad
            field["custom"]["thresholdsStyle"] = {"mode": "dashed"}
    return field


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": heading},
            "properties": [{"id": "unit", "value": unit}],
        }
        for heading, unit in (panel.column_units or {}).items()
    ]


def _transformations(panel: Panel) -> list[dict[str, Any]]:
    columns = panel.columns or {}
    shown = {
        "include": {"names": list(columns)},
    }
    order = {name: place for place, name in enumerate(columns)}
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": shown},
        {"id": "organize", "options": {"indexByName": order, "renameByName": dict(columns)}},
    ]


_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {
        "reduceOptions": _REDUCED,
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "textMode": "value",
        "orientation": "auto",
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
    "bargauge": {
        "reduceOptions": _REDUCED,
        "orientation": "horizontal",
        "displayMode": "gradient",
        "showUnfilled": True,
    },
}
