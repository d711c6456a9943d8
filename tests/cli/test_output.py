"""Tables, numbers and sizes."""
from __future__ import annotations

from fastbroker.cli.output import count, fields, shortened, size, table, wrapped


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


def test_a_number_that_there_is_not_does_not_change_the_alignment() -> None:
    text = table(("topic", "lag", "left"), [("a", "-", "-"), ("b", 12, "-")])
    assert text.splitlines() == ["topic  lag  left", "a        -     -", "b       12     -"]


def test_a_table_keeps_to_the_width() -> None:
    rows = [("n" * 60, 1, "a:0-2 bb:3 " + "c" * 9), ("short", 22, "")]
    lines = table(("name", "count", "partitions"), rows, indent="  ", width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[1].split() == ["nnnnnnn…nnnnnn", "1", "a:0-2", "bb:3"]
    assert lines[2] == " " * 25 + "c" * 9
    assert table(("name", "count", "partitions"), rows, width=None).count("n" * 60) == 1


def test_what_tells_names_apart_remains() -> None:
    assert shortened("reader-12345678", 15) == "reader-12345678"
    assert shortened("reader-12345678", 9) == "read…5678"
    assert len(shortened("reader-12345678", 8)) == 8


def test_fields_stand_below_each_other() -> None:
    text = fields([("state", "Stable"), ("nothing", ""), ("coordinator", 1)])
    assert text.splitlines() == ["  state        Stable", "  coordinator  1"]
    text = fields([("a", "word " * 12)], width=40)
    assert {line.index("word") for line in text.splitlines()} == {5}
    assert max(map(len, text.splitlines())) <= 40


def test_wrapping_keeps_what_fits() -> None:
    assert wrapped("  short", 20) == "  short"
    assert wrapped("  long " * 9, None) == "  long " * 9
    assert max(map(len, wrapped("x" * 100, 40).splitlines())) == 40
