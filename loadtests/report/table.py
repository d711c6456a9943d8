"""A run, or two side by side, as Markdown that reads well in a terminal, too."""
from __future__ import annotations

from collections.abc import Sequence

from loadtests.report.figures import Figures, Row

HEAD = (
    "operation", "a second", "MB/s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms", "count",
    "errors",
)  # fmt: skip
BUSY = 0.9  # of the time: from there on the generator may be what is measured
NOTHING = "-"


def report(runs: Sequence[Figures]) -> str:
    """The tables of one run, or of several with their operations beside each other."""
    several = len(runs) > 1
    rows = []
    for name in _names(runs):
        for run in runs:
            row = next((row for row in run.rows() if row.operation == name), None)
            if row is not None:
                rows.append([*([run.label] if several else []), *_cells(row)])
    head = [*(["broker"] if several else []), *HEAD]
    out = [f"# Load test: {' and '.join(run.label for run in runs)}", ""]
    conditions = {run.label: _conditions(run) for run in runs}
    if len(set(conditions.values())) == 1:
        out += [f"{_conditions(runs[0])}.", ""]
        conditions = {label: "" for label in conditions}
    for run in runs:
        said = [part for part in (conditions[run.label], _time(run)) if part]
        out += [f"**{run.label}**: {'. '.join(said)}.", ""]
    out += [*_markdown(head, rows, left=2 if several else 1), ""]
    out += [
        "Latencies are of every record. `produce`: from produce() to its acknowledgement, the",
        "client's own queue included. `consume`: the age of a record when it is read.",
        "`end-to-end`: of single records with no queue of the client before them.",
        "",
    ]
    out += _failures(runs)
    for run in runs:
        out += [part for said in (_broker(run), _generator(run)) if said for part in (said, "")]
    return "\n".join(out).rstrip() + "\n"


def _names(runs: Sequence[Figures]) -> list[str]:
    names: list[str] = []
    for run in runs:
        names += [row.operation for row in run.rows() if row.operation not in names]
    return names


def _cells(row: Row) -> list[str]:
    return [
        row.operation,
        number(row.per_s),
        number(row.bytes_per_s / 1e6) if row.bytes_per_s else NOTHING,
        *(NOTHING if ms is None else number(ms) for ms in row.latencies_ms),
        f"{row.count:,}",
        f"{sum(row.errors.values()):,}",
    ]


def number(value: float) -> str:
    """Three figures that mean something: 12,345, 123, 12.3, 1.23."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Columns as wide as what is in them; `left` of them hold words, the others numbers."""
    widths = [max(len(line[n]) for line in (head, *rows)) for n in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    ruler = ["-" * w if n < left else "-" * (w - 1) + ":" for n, w in enumerate(widths)]
    return [line(head), line(ruler), *map(line, rows)]


def _conditions(run: Figures) -> str:
    told = run.options
    classes = ", ".join(told["user_classes"])
    said = [
        f"{told['users'] or 1} users" + (f" ({classes})" if classes else ""),
        f"values of {told['size']:,} bytes",
        f"acks={told['acks']}",
        f"compression={told['compression']}",
        f"linger {told['linger_ms']:g} ms",
        f"{told['partitions']} partitions",
        f"{told['keys']:,} keys" if told["keys"] else "no keys",
        f"{told['rate']:g} records a second each" if told["rate"] else
        f"at most {told['in_flight']:,} records of a producer under way",
    ]  # fmt: skip
    if told["transactional"]:
        said.append(f"transactions of {told['txn_records']:,} records")
    if told["shape"] != "none":
        said.append(f"shape {told['shape']}")
    return "; ".join(said)


def _time(run: Figures) -> str:
    measured = f"{run.seconds:.0f} s measured from {run.began}"
    return measured + (f", without the first {run.warm_up_s:g} s" if run.warm_up_s else "")


def _failures(runs: Sequence[Figures]) -> list[str]:
    rows = [
        [run.label, row.operation, error, f"{count:,}"]
        for run in runs
        for row in run.rows()
        for error, count in sorted(row.errors.items(), key=lambda one: -one[1])
    ]
    return [*_markdown(("broker", "operation", "error", "count"), rows, left=3), ""] if rows else []


def _broker(run: Figures) -> str:
    """What the broker took of this machine, where that is known."""
    cores = run.gauge("broker")
    if cores is None:
        return ""
    said = f"**{run.label}**, the broker: {cores:.2f} cores"
    produced = next((row for row in run.rows() if row.operation == "produce record"), None)
    if produced is not None and produced.count:
        said += f", {number(cores / produced.per_s * 1e6)} µs for each record that was produced"
    return f"{said}."


def _generator(run: Figures) -> str:
    thread, process = run.gauge("main thread"), run.gauge("process")
    machine, delays = run.gauge("machine"), run.delay_ms()
    waited = run.gauge("thread waiting") or 0.0
    if thread is None or process is None or machine is None or delays[0] is None:
        return f"**{run.label}**: nothing is known of the load generator's own load."
    p50, p99 = delays[0], delays[2] or 0.0
    said = (
        f"**{run.label}**, the load generator: {process:.2f} cores, its Python thread "
        f"{thread:.0%} of one, and {waited:.0%} of the time waiting for one; its greenlets ran "
        f"late by {number(p50)} ms (p50), {number(p99)} ms (p99); this machine's "
        f"{run.machine['cores']} cores were {machine:.0%} busy."
    )
    if thread >= BUSY:
        said += " **The generator had no time left: it may be what is measured.**"
    elif thread + waited >= BUSY:
        said += (
            " **It waited for a core most of the time: rates are what this machine can do for "
            "broker and generator together, and latencies have that wait in them.**"
        )
    return said
