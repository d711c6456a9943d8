"""A run over time as a picture, or several in one: rates, latencies, users and errors.

One run: a colour is an operation. Several: a colour is a run, and each operation has a panel.
Of latencies the thick line is p50 and the thin one p99, where there are enough for one.
"""
from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from loadtests.report.figures import Figures

# Okabe and Ito's colours: told apart without red and green, and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
DARK, LIGHT = "#404040", "#D9D9D9"
DATA = ("produce record", "consume record", "end-to-end acknowledged", "end-to-end read")
DASHED = (0, (4, 2))
COMPARED = ("produce record", "end-to-end read", "consume record")
NAMES = {
    "produce record": "produced to acknowledged", "consume record": "age when consumed",
    "end-to-end acknowledged": "end to end, acknowledged", "end-to-end read": "end to end, read",
}  # fmt: skip
WIDTH_IN, PANEL_IN, DPI = 11, 2.6, 110
SMALL = 8.5  # points
NCOLS = 5  # of one run's legend; labels of several are long


def draw(path: pathlib.Path, runs: Sequence[Figures]) -> None:
    """Write a PNG. ImportError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    one = len(runs) == 1
    latencies = operations_of(runs[0]) if one else [[name] for name in compared(runs)]
    count = 2 + len(latencies)
    figure = Figure(figsize=(WIDTH_IN, PANEL_IN * count), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [1.0] * (1 + len(latencies)) + [0.6]
    panels = figure.subplots(count, 1, sharex=True, height_ratios=heights)
    figure.suptitle(title(runs), fontsize=12, x=0.01, ha="left")
    _rates(panels[0], runs)
    for panel, operations in zip(panels[1:-1], latencies, strict=True):
        _latencies(panel, runs, operations)
    _users(panels[-1], runs)
    if any(run.warm_up_s for run in runs):
        panels[0].text(0.005, 0.94, "grey: not in the table", transform=panels[0].transAxes,
                       va="top", fontsize=SMALL, color=DARK)  # fmt: skip
    for panel in panels:
        _tidy(panel, runs)
    panels[-1].set_xlabel("seconds since the begin")
    figure.savefig(path)


def title(runs: Sequence[Figures]) -> str:
    """Who, and under what conditions."""
    told = runs[0].options
    who = runs[0].label if len(runs) == 1 else f"{len(runs)} runs side by side"
    return (
        f"{who}\nvalues of {told['size']:,} bytes, acks={told['acks']}, "
        f"compression={told['compression']}, {told['partitions']} partitions"
    )


def operations_of(run: Figures) -> list[list[str]]:
    """The operations of each panel of one run: those on records, and those of administrators."""
    timed = [row.operation for row in run.rows() if row.latencies_ms[0] is not None]
    data = [name for name in timed if name in DATA]
    if "end-to-end read" in data and len(data) > 2:
        data.remove("end-to-end acknowledged")  # the two lines lie on each other
    others = [name for name in timed if name not in DATA]
    return [names[: len(COLOURS)] for names in (data, others) if names] or [[]]


def compared(runs: Sequence[Figures]) -> list[str]:
    """The operations that a comparison has a panel for: those that every run has."""
    shared = set.intersection(
        *({name for names in operations_of(run) for name in names} for run in runs)
    )
    return [name for name in COMPARED if name in shared] or sorted(shared)[:3]


def _rates(panel: Any, runs: Sequence[Figures]) -> None:
    """Records a second; the megabytes of them are on the right where all values are as long."""
    one = len(runs) == 1
    drawn = [name for name in ("produce record", "consume record")
             if any(row.operation == name for run in runs for row in run.rows())]  # fmt: skip
    for n, run in enumerate(runs):
        for m, name in enumerate(drawn or operations_of(run)[0]):
            points = list(run.points(name))
            words = {"produce record": "produced", "consume record": "consumed"}.get(name, name)
            panel.plot(
                [point.at_s for point in points], [point.per_s for point in points],
                color=COLOURS[m if one else n], lw=1.6 if m == 0 or one else 1.0,
                ls="-" if m == 0 or one else DASHED,
                label=words if one else run.label if m == 0 else None,
            )  # fmt: skip
    if not one and len(drawn) > 1:
        _note(panel, "solid: produced, dashed: consumed")
    panel.set_ylabel("records a second" if drawn else "operations a second")
    panel.set_ylim(bottom=0, top=max(1.0, panel.get_ylim()[1]))
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value > 2 else f"{value:g}")
    size = max(16, runs[0].options["size"])
    if drawn and all(run.options["size"] == size for run in runs):
        right = panel.secondary_yaxis(
            "right", functions=(lambda y: y * size / 1e6, lambda y: y * 1e6 / size)
        )
        right.set_ylabel("MB/s", color=DARK)
        right.tick_params(colors=DARK)


def _latencies(panel: Any, runs: Sequence[Figures], operations: Sequence[str]) -> None:
    one = len(runs) == 1
    for n, run in enumerate(runs):
        for m, name in enumerate(operations):
            points = list(run.points(name))
            colour = COLOURS[m if one else n]
            words = NAMES.get(name, name) if one else None
            at = [point.at_s for point in points]
            gap = float("nan")
            panel.plot(at, [gap if p.p50_ms is None else max(p.p50_ms, 1e-3) for p in points],
                       color=colour, lw=1.8, label=words)  # fmt: skip
            panel.plot(at, [gap if p.p99_ms is None else max(p.p99_ms, 1e-3) for p in points],
                       color=colour, lw=0.8)  # fmt: skip
    _note(panel, "thick: p50, thin: p99")
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    said = "latency" if one else NAMES.get(operations[0], operations[0])
    panel.set_ylabel(f"{said}, ms")


def _users(panel: Any, runs: Sequence[Figures]) -> None:
    """Users as steps, and errors a second as bars from the bottom."""
    one = len(runs) == 1
    for n, run in enumerate(runs):
        points = run.gauge_points("users")
        panel.step([at for at, _ in points], [users for _, users in points], where="mid",
                   color=DARK if one else COLOURS[n], lw=1.4,
                   label="users" if one else None)  # fmt: skip
    panel.set_ylabel("users")
    panel.set_ylim(bottom=0)
    panel.yaxis.get_major_locator().set_params(integer=True)
    right = panel.twinx()
    failing = False
    for n, run in enumerate(runs):
        errors: dict[float, float] = {}
        for row in run.rows():
            if row.errors:
                for point in run.points(row.operation):
                    errors[point.at_s] = errors.get(point.at_s, 0.0) + point.errors_per_s
        failing = failing or bool(errors)
        colour = "#C00000" if one else COLOURS[n]
        right.fill_between(list(errors), list(errors.values()), step="mid", color=colour,
                           alpha=0.35, lw=0)  # fmt: skip
    if failing:
        right.set_ylabel("errors a second")
        right.set_ylim(bottom=0)
        _note(panel, "line: users, area: errors a second")
    else:
        right.set_yticks([])
        _note(panel, "no errors")
    for side in ("top", "left", "right"):
        right.spines[side].set_visible(False)


def _note(panel: Any, words: str) -> None:
    """How to read a panel, above it on the right."""
    panel.text(1, 1.03, words, transform=panel.transAxes, ha="right", fontsize=SMALL, color=DARK)


def _tidy(panel: Any, runs: Sequence[Figures]) -> None:
    """Grid, a legend above the lines instead of on them, and the warm-up in grey."""
    panel.grid(axis="both", color=LIGHT, lw=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    if panel.get_legend_handles_labels()[0]:
        columns = NCOLS if len(runs) == 1 else 1
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False,
                     fontsize=SMALL, borderaxespad=0.2, columnspacing=1.4)  # fmt: skip
    warm_up = max(run.warm_up_s for run in runs)
    if warm_up:
        panel.axvspan(0, warm_up, color=LIGHT, alpha=0.5, lw=0)
    panel.set_xlim(left=0)
