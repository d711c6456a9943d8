"""What people are told: failures, tables, sizes."""
from __future__ import annotations

import sys
from collections.abc import Sequence

import click

ABSENT = "-"  # stands for a number that there is not
GAP = "  "
COLUMN_MIN = 8  # a column of texts keeps so many

json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


class Failure(Exception):
    """An expected end: shown as one line without a traceback. The text names cause and remedy."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def screen_width(*, err: bool = False) -> int | None:
    """Columns of the terminal that stdout, or stderr, is; None: it is none, and nothing is cut."""
    import shutil  # it brings three compressions, which `start` has no use for

    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else None


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    indent: str = "",
    width: int | None = None,
) -> str:
    """Aligned columns two spaces apart; columns of numbers, or ABSENT, are aligned to the right.

    width: lines are at most so long: texts of the widest columns lose their middle, those of the
    last one go on in the next line.
    """
    texts = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in texts) for n in range(len(header))]
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    right = [_is_of_numbers(column) for column in columns]
    if width is not None:
        gaps = len(indent) + len(GAP) * (len(widths) - 1)
        _shrink(widths, [n for n, number in enumerate(right) if not number], width - gaps)
        texts = [line for row in texts for line in _fitted(row, widths)]
    lines = []
    for row in texts:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ]
        lines.append((indent + GAP.join(cells)).rstrip())
    return "\n".join(lines)


def fields(
    named: Sequence[tuple[str, object]], *, indent: str = "  ", width: int | None = None
) -> str:
    """A line for each name and value, the values below each other; empty values are left out.

    width: longer values go on below their beginning.
    """
    shown = [(name, str(value)) for name, value in named if str(value)]
    column = max((len(name) for name, _ in shown), default=0)
    below = indent + " " * column + GAP
    return "\n".join(
        wrapped(f"{indent}{name.ljust(column)}{GAP}{value}", width, indent=below)
        for name, value in shown
    )


def wrapped(text: str, width: int | None, *, indent: str = "") -> str:
    """`text`, its lines broken at `width`; those after a break begin with `indent`."""
    if width is None or len(text) <= width:
        return text
    import textwrap

    begin = text[: len(text) - len(text.lstrip())]
    return textwrap.fill(
        text[len(begin) :], max(width, len(indent) + 20), initial_indent=begin,
        subsequent_indent=indent, break_on_hyphens=False,
    )  # fmt: skip


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` columns: its two ends, which tell names apart, remain."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _is_of_numbers(column: Sequence[object]) -> bool:
    return bool(column) and all(isinstance(cell, int) or cell == ABSENT for cell in column)


def _shrink(widths: list[int], candidates: Sequence[int], room: int) -> None:
    """Make the widest of the candidate columns narrower, until all fit or have COLUMN_MIN."""
    while candidates and sum(widths) > room:
        widest = max(candidates, key=lambda n: widths[n])
        if widths[widest] <= COLUMN_MIN:
            return
        widths[widest] -= 1


def _fitted(row: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """A row as one line, or several when the last column does not fit."""
    last, lines = widths[-1], [""]
    for word in row[-1].split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > last:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    first = [shortened(cell, width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
    out = [[*first, shortened(lines[0], last)]]
    out += [[""] * len(first) + [shortened(line, last)] for line in lines[1:]]
    return out


def count(number: int, noun: str) -> str:
    """count(1, "record") -> "1 record", count(2000, "record") -> "2,000 records"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: int) -> str:
    """Bytes for people: 512 bytes, 1.5 KiB, 20.0 MiB."""
    if number < 1024:
        return count(number, "byte")
    if number < 1 << 20:
        return f"{number / (1 << 10):.1f} KiB"
    if number < 1 << 30:
        return f"{number / (1 << 20):.1f} MiB"
    return f"{number / (1 << 30):.1f} GiB"
