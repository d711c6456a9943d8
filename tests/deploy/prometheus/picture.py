"""The dashboard as a picture, without Grafana: what its queries return, drawn as it says.

    python -m tests.deploy.prometheus.picture --prometheus http://127.0.0.1:9090 dashboard.png

Panels, sizes, units, legends and colours are those of fastbroker.json; what they would look like in
Grafana itself is close to it, not the same. Needs chromium for a PNG; an .html is written without.
"""
from __future__ import annotations

import argparse
import html
import math
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.deploy.prometheus import units
from tests.deploy.prometheus.queries import EVERYTHING, LABEL, dashboard, filled_in

COLUMN, LINE = 76, 36  # pixels of the grid
POINTS = 240
COLOURS = ("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#37872D",
    "#FADE2A", "#447EBC", "#C15C17", "#890F02")  # fmt: skip
NAMED = {"green": "#73BF69", "red": "#F2495C", "blue": "#5794F2"}
CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
]  # fmt: skip
STYLE = """
body{background:#111217;color:#ccccdc;font:12px Inter,"DejaVu Sans",sans-serif;margin:8px;
 position:relative}
.p{position:absolute;background:#181b1f;border:1px solid #25272c;border-radius:2px;overflow:hidden;
 box-sizing:border-box;padding:6px 8px}
.r{background:none;border:0;font-size:15px;font-weight:500}
h3{margin:0 0 2px;font-size:12px;font-weight:500;color:#d8d9da}
.n{font-size:32px;font-weight:500;text-align:center;line-height:68px}
.k{display:inline-block;margin-right:12px;white-space:nowrap}.k i{display:inline-block;width:14px;
 height:4px;border-radius:1px;margin-right:5px;vertical-align:middle}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 8px;
 border-bottom:1px solid #25272c}th{color:#6e9fff;font-weight:500}
.b{height:18px;border-radius:2px;background:linear-gradient(90deg,#37872d,#73bf69)}.none{color:#f2495c;font-size:15px;padding:20px}
text{fill:#9fa1a8;font-size:11px}
"""

Ask = Callable[..., Any]
Labels = Mapping[str, str]


def page(ask: Ask, *, seconds: float, variables: Mapping[str, str]) -> str:
    """The whole dashboard as HTML; `ask`: Prometheus.ask of tests.deploy.prometheus.server."""
    whole = dashboard()
    boxes, bottom = [], 0
    end = time.time()
    for panel in whole["panels"]:
        at = panel["gridPos"]
        bottom = max(bottom, at["y"] + at["h"])
        size = at["w"] * COLUMN - 8, at["h"] * LINE - (0 if panel["type"] == "row" else 8)
        place = f"left:{at['x'] * COLUMN}px;top:{at['y'] * LINE}px;"
        place += f"width:{size[0]}px;height:{size[1]}px"
        if panel["type"] == "row":
            boxes.append(f'<div class="p r" style="{place}">▾ {panel["title"]}</div>')
            continue
        body = _KINDS[panel["type"]](ask, panel, variables, (end - seconds, end), size)
        title = html.escape(panel["title"])
        boxes.append(f'<div class="p" style="{place}"><h3>{title}</h3>{body}</div>')
    height = bottom * LINE
    return (
        f"<!doctype html><meta charset=utf-8><title>{whole['title']}</title><style>{STYLE}</style>"
        f'<body style="height:{height}px;width:{24 * COLUMN}px">{"".join(boxes)}'
    )


def save(text: str, to: pathlib.Path) -> None:
    """Write `text` as HTML, or as the PNG that Chromium makes of it."""
    if to.suffix == ".html":
        to.write_text(text)
        return
    height = max(at["gridPos"]["y"] + at["gridPos"]["h"] for at in dashboard()["panels"]) * LINE
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "dashboard.html"
        source.write_text(text)
        size = f"--window-size={24 * COLUMN + 16},{height + 24}"
        own = [size, f"--user-data-dir={folder}/profile", f"--screenshot={to}"]
        subprocess.run([*CHROMIUM, *own, f"file://{source}"], check=True, capture_output=True)


def _stat(ask: Ask, panel: Any, variables: Labels, span: tuple[float, float], size: Any) -> str:
    field = panel["fieldConfig"]["defaults"]
    found = _ranges(ask, panel, variables, span)
    if not found:
        return f'<div class="n">{field.get("noValue", "No data")}</div>'
    points = found[0][1]
    value = points[-1][1]
    colour = "#ccccdc"
    for step in field["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = NAMED.get(step["color"], step["color"])
    number = units.told(value, field["unit"], field.get("decimals"))
    course = _course(points, span, colour, (size[0], 26))
    return f'<div class="n" style="color:{colour}">{number}</div>{course}'


def _course(
    points: Sequence[tuple[float, float]], span: tuple[float, float], colour: str, size: Any
) -> str:
    """The small line below a number."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    scale = (size[1] - 4) / ((high - low) or 1)
    width = size[0] / (span[1] - span[0])
    line = "L".join(
        f"{(at - span[0]) * width:.1f} {size[1] - 2 - (value - low) * scale:.1f}"
        for at, value in points
    )
    drawn = f'<path d="M{line}" fill="none" stroke="{colour}" opacity="0.6"/>'
    style = "position:absolute;left:0;bottom:0"
    return f'<svg style="{style}" width="{size[0]}" height="{size[1]}">{drawn}</svg>'


def _lines(ask: Ask, panel: Any, variables: Labels, span: tuple[float, float], size: Any) -> str:
    field = panel["fieldConfig"]["defaults"]
    found = _ranges(ask, panel, variables, span)
    if not found:
        return '<div class="none">No data</div>'
    stacked = field["custom"]["stacking"]["mode"] == "normal"
    drawn, keys, base = [], [], {}
    for index, (legend, points) in enumerate(found):
        colour = COLOURS[index % len(COLOURS)]
        if stacked:
            points = [(at, value + base.get(at, 0.0)) for at, value in points]
            base.update(points)
        drawn.append((colour, points))
        key = f'<i style="background:{colour}"></i>{html.escape(legend)}'
        keys.append(f'<span class="k">{key}</span>')
    lowest_legend = 20 * (1 + sum(len(legend) * 7 + 35 for legend, _ in found) // size[0])
    chart = _chart(drawn, span, (size[0] - 16, size[1] - 34 - lowest_legend), field, stacked)
    return chart + "".join(keys)


def _chart(
    drawn: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    span: tuple[float, float],
    size: tuple[int, int],
    field: Any,
    stacked: bool,
) -> str:
    width, height = size
    left, foot = 62, 18
    top = max((value for _, points in drawn for _, value in points), default=1.0)
    step = units.step(top or 1.0, field["unit"])
    top = max(math.ceil(top / step - 1e-9), 1) * step

    def x(at: float) -> float:
        return left + (width - left - 4) * (at - span[0]) / (span[1] - span[0])

    def y(value: float) -> float:
        return 6 + (height - foot - 6) * (1 - value / top)

    parts = []
    for number in range(round(top / step) + 1):
        at = y(number * step)
        parts.append(f'<path d="M{left} {at:.1f}H{width}" stroke="#2c2f36"/>')
        label = units.told(number * step, field["unit"], None)
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for number in range(5):
        when = span[0] + (span[1] - span[0]) * (number + 0.5) / 5
        clock = time.strftime("%H:%M:%S", time.localtime(when))
        place = f'x="{x(when):.0f}" y="{height - 3}"'
        parts.append(f'<text {place} text-anchor="middle">{clock}</text>')
    for colour, points in reversed(drawn) if stacked else drawn:
        line = "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points)
        if not line:
            continue
        fill = f"M{x(points[0][0]):.1f} {y(0)}L{line}L{x(points[-1][0]):.1f} {y(0)}Z"
        opacity = field["custom"]["fillOpacity"] / 100
        parts.append(f'<path d="{fill}" fill="{colour}" opacity="{opacity}"/>')
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    steps = [one for one in field["thresholds"]["steps"] if one["value"] is not None]
    for one in steps if "thresholdsStyle" in field["custom"] else ():
        if one["value"] <= top:
            parts.append(
                f'<path d="M{left} {y(one["value"]):.1f}H{width}" stroke="{NAMED["red"]}"'
                ' stroke-dasharray="6 4"/>'
            )
    return f'<svg width="{width}" height="{height}">{"".join(parts)}</svg><br>'


def _bars(ask: Ask, panel: Any, variables: Labels, span: tuple[float, float], size: Any) -> str:
    found = [(legend, points[-1][1]) for legend, points in _ranges(ask, panel, variables, span)]
    if not found:
        return '<div class="none">No data</div>'
    most, unit = max(value for _, value in found) or 1.0, panel["fieldConfig"]["defaults"]["unit"]
    rows = [
        f"<tr><td>{html.escape(legend)}<td style='width:55%'>"
        f"<div class=b style='width:{max(value / most * 100, 1):.0f}%'></div>"
        f"<td>{units.told(value, unit, None)}"
        for legend, value in sorted(found, key=lambda one: -one[1])
    ]
    return f"<table>{''.join(rows)}</table>"


def _table(ask: Ask, panel: Any, variables: Labels, span: tuple[float, float], size: Any) -> str:
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    (names,) = [t["options"] for t in panel["transformations"] if t["id"] == "organize"]
    order = sorted(names["indexByName"], key=names["indexByName"].get)
    labels = [name for name in order if not name.startswith("Value #")]
    for target in panel["targets"]:
        expression = filled_in(target["expr"], variables)
        for series in ask("query", query=expression, time=str(span[1]))["result"]:
            key = tuple(series["metric"].get(label, "") for label in labels)
            rows.setdefault(key, {})[f"Value #{target['refId']}"] = float(series["value"][1])
    own = panel["fieldConfig"]["overrides"]
    unit_of = {one["matcher"]["options"]: one["properties"][0]["value"] for one in own}
    lines = ["<tr>" + "".join(f"<th>{names['renameByName'][name]}" for name in order)]
    first = order[len(labels)]
    for key, values in sorted(rows.items(), key=lambda row: -row[1].get(first, 0)):
        cells = dict(zip(labels, key, strict=True))
        for name in order[len(labels) :]:
            unit = unit_of.get(names["renameByName"][name], "short")
            cells[name] = units.told(values[name], unit, None) if name in values else ""
        lines.append("<tr>" + "".join(f"<td>{html.escape(cells[name])}" for name in order))
    return f"<table>{''.join(lines)}</table>" if rows else '<div class="none">No data</div>'


def _ranges(
    ask: Ask, panel: Any, variables: Labels, span: tuple[float, float]
) -> list[tuple[str, list[tuple[float, float]]]]:
    """Legend and points of each series of a panel's queries; what is not a number left out."""
    found = []
    for target in panel["targets"]:
        answer = ask(
            "query_range",
            query=filled_in(target["expr"], variables),
            start=str(span[0]),
            end=str(span[1]),
            step=str(max((span[1] - span[0]) / POINTS, 1)),
        )
        for series in answer["result"]:
            labels = series["metric"]
            legend = LABEL.sub(lambda match: labels.get(match[1], ""), target["legendFormat"])  # noqa: B023
            points = [(float(at), float(value)) for at, value in series["values"]]
            points = [point for point in points if math.isfinite(point[1])]
            if points:
                found.append((legend or str(labels), points))
    return found


_KINDS = {"stat": _stat, "timeseries": _lines, "bargauge": _bars, "table": _table}


def main() -> None:
    """Draw what a running Prometheus has."""
    from tests.deploy.prometheus.server import asking

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its URL")
    parser.add_argument("--seconds", type=float, default=3600, help="how far back")
    parser.add_argument("--rate", default="1m", help="over which time rates are taken")
    parser.add_argument("to", type=pathlib.Path, help="a .png or .html")
    given = parser.parse_args()
    variables = {**EVERYTHING, "__rate_interval": given.rate}
    save(page(asking(given.prometheus), seconds=given.seconds, variables=variables), given.to)


if __name__ == "__main__":
    main()
