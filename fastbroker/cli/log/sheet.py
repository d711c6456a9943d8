"""A long table, printed as it comes."""
from __future__ import annotations

import textwrap
from collections.abc import Sequence

import click

from fastbroker.cli.output import GAP

MEASURED = 50  # rows that are looked at before the first is printed
LAST_MIN = 16  # columns that the last cell has, however narrow the terminal


class Sheet:
    """Rows in aligned columns, with lines of text between them; `close` prints what is held.

    right: which columns are aligned to the right. width: of the terminal; the last column's text
    goes on in the next line. Columns are as wide as the first rows need, and may grow later.
    """

    def __init__(self, header: Sequence[str], right: Sequence[bool], width: int | None) -> None:
        self._header, self._right, self._width = tuple(header), right, width
        self._widths = [len(one) for one in header]
        self._held: list[Sequence[str] | str] = [self._header]
        self._is_measured = False

    def row(self, cells: Sequence[object]) -> None:
        """Add a row."""
        texts = [str(cell) for cell in cells]
        for number, text in enumerate(texts[:-1]):
            self._widths[number] = max(self._widths[number], len(text))
        self._add(texts)

    def line(self, text: str) -> None:
        """Add a line that is no row."""
        self._add(text)

    def close(self) -> None:
        """Print what is held."""
        for one in self._held:
            click.echo(one if isinstance(one, str) else self._text(one))
        self._held = []
        self._is_measured = True

    def _add(self, one: Sequence[str] | str) -> None:
        self._held.append(one)
        if self._is_measured or len(self._held) > MEASURED:
            self.close()

    def _text(self, cells: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(
                cells[:-1], self._widths[:-1], self._right[:-1], strict=True
            )
        ]
        begin = GAP.join(parts) + GAP
        if self._width is None or len(begin) + len(cells[-1]) <= self._width:
            return (begin + cells[-1]).rstrip()
        below = textwrap.wrap(cells[-1], max(self._width - len(begin), LAST_MIN)) or [""]
        return ("\n" + " " * len(begin)).join([begin + below[0], *below[1:]]).rstrip()
