"""Tables, numbers and sizes."""
from __future__ import annotations

from fastbroker.cli.output import count, size, table


def test_numbers_are_right_aligned_and_lines_end_without_spaces() -> None:
    text = table(("topic", "partitions"), [("a", 3), ("longer", 12)])
    assert text.splitlines() == ["topic   partitions", "a                3", "longer          12"]


def test_mixed_columns_are_left_aligned() -> None:
    text = table(("leader", "isr"), [(1, "1"), ("none", "none")], indent="  ")
    assert text.splitlines() == ["  leader  isr", "  1       1", "  none    none"]


def test_counts_and_sizes() -> None:
    assert [count(n, "record") for n in (0, 1, 2000)] == ["0 records", "1 record", "2,000 records"]
    assert [size(n) for n in (1, 1023, 1536, 20 << 20, 3 << 40)] == [
        "1 byte", "1,023 bytes", "1.5 KiB", "20.0 MiB", "3072.0 GiB",
    ]  # fmt: skip
