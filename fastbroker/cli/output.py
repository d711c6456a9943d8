"""What people are told: failures, tables, sizes."""
from __future__ import annotations

from collections.abc import Sequence


class Failure(Exception):
    """An expected end: shown as one line without a traceback. The text names cause and remedy."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, indent: str = "") -> str:
    """Aligned columns two spaces apart; columns of numbers only are aligned to the right."""
    texts = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in texts) for n in range(len(header))]
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    right = [bool(column) and all(isinstance(cell, int) for cell in column) for column in columns]
    lines = []
    for row in texts:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


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
