"""What several processes say, as one page."""
from __future__ import annotations

import math
from array import array

import pytest

from fastbroker._c.exposition import histogram_lines, lines, number, partition_labels
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.labels import OTHER
from fastbroker.metrics.page import Page
from fastbroker.metrics.samples import MISSING, Samples, decode
from tests.metrics.text import Text


def int64s(*values: int) -> bytes:
    return array("q", values).tobytes()


def int32s(*values: int) -> bytes:
    return array("i", values).tobytes()


def page_of(**told: Samples) -> Text:
    page = Page()
    for process, samples in told.items():
        page.add(process.replace("_", "-"), decode(samples.encode()))
    return Text(page.encode().decode())


def test_a_family_is_written_once_whoever_tells_it() -> None:
    one, other = Samples(), Samples()
    one.value(c.CONNECTIONS, 3)
    other.value(c.CONNECTIONS, 4)
    other.value(c.BROKERS, 2)
    text = page_of(worker_0=one, worker_1=other)
    assert text.value(c.CONNECTIONS.name, process="worker-0") == 3
    assert text.value(c.CONNECTIONS.name, process="worker-1") == 4
    assert text.value(c.BROKERS.name) == 2
    assert text.families[c.BROKERS.name].help == c.BROKERS.help


def test_a_histogram_is_cumulative() -> None:
    samples = Samples()
    counts = [0] * (len(c.SIZES) + 1)
    counts[0], counts[2], counts[-1] = 5, 2, 1
    samples.histogram(c.FLUSH_BATCHES, int64s(*counts), 5013)
    text = page_of(worker_0=samples)
    name = c.FLUSH_BATCHES.name
    assert text.value(f"{name}_bucket", process="worker-0", le="1") == 5
    assert text.value(f"{name}_bucket", process="worker-0", le="2") == 5
    assert text.value(f"{name}_bucket", process="worker-0", le="4") == 7
    assert text.value(f"{name}_bucket", process="worker-0", le="+Inf") == 8
    assert text.value(f"{name}_sum", process="worker-0") == 5013
    assert text.value(f"{name}_count", process="worker-0") == 8


def test_a_table_has_a_line_for_each_value_that_is_there() -> None:
    samples = Samples()
    rows = [("a", int32s(0, 2)), ("b", int32s(1)), (OTHER, int32s(-1))]
    columns = [int64s(5, MISSING, 7, 9), int64s(-1, 0, 2**63 - 1, MISSING)]
    samples.table(rows, (c.LOG_SIZE, c.LOG_END), columns)
    samples.table([("a", b""), (OTHER, b"")], (c.MESSAGES_IN,), [int64s(1, 2)])
    text = page_of(worker_0=samples)
    assert text.all(c.LOG_SIZE.name) == {
        frozenset({("topic", "a"), ("partition", "0")}): 5,
        frozenset({("topic", "b"), ("partition", "1")}): 7,
        frozenset({("topic", OTHER), ("partition", OTHER)}): 9,
    }
    assert text.value(c.LOG_END.name, topic="b", partition="1") == float(2**63 - 1)
    assert text.value(c.MESSAGES_IN.name, process="worker-0", topic=OTHER) == 2


def test_what_is_not_understood_is_refused() -> None:
    page = Page()
    for blocks in [[(99, "x")]], [[(0, "no_such_family", [(b"", 1)])]]:
        with pytest.raises((ValueError, KeyError)):
            page.add("worker-0", blocks[0])
    for answer in b"", b"\xff", b"N":
        with pytest.raises((ValueError, EOFError, TypeError)):
            decode(answer)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, b"0"), (3.0, b"3"), (-2.0, b"-2"), (0.1, b"0.1"), (1e-05, b"1e-05"), (1e300, b"1e+300"),
     (math.inf, b"+Inf"), (-math.inf, b"-Inf"), (math.nan, b"NaN")],
)  # fmt: skip
def test_a_number_is_the_shortest_that_is_the_same(value: float, text: bytes) -> None:
    assert number(value) == text


def test_lines_of_both_kinds_of_numbers() -> None:
    whole = array("q", [0, -(2**63) + 1, MISSING, 12])
    assert lines(b"m", [b'a="1"', b"", b"x", b"y"], whole) == (
        b'm{a="1"} 0\nm -9223372036854775807\nm{y} 12\n'
    )
    assert lines(b"m", [b"", b""], array("d", [0.25, math.nan])) == b"m 0.25\n"
    with pytest.raises(ValueError, match="2 values for 1 rows"):
        lines(b"m", [b""], array("q", [1, 2]))
    with pytest.raises(TypeError):
        lines(b"m", ["text"], array("q", [1]))  # type: ignore[list-item]


def test_lines_grow_beyond_what_was_there_at_first() -> None:
    labels = [b"l" * 1000 for _ in range(500)]
    text = lines(b"m", labels, array("q", range(500)))
    assert text.split(b"\n")[499] == b"m{" + labels[0] + b"} 499"
    found = partition_labels(b'topic="t"', array("i", range(3)))
    assert found == [b'topic="t",partition="%d"' % n for n in range(3)]


def test_a_histogram_needs_a_count_more_than_bounds() -> None:
    with pytest.raises(ValueError, match="2 counts for 2 bounds"):
        histogram_lines(b"m", b"", [b"1", b"2"], array("q", [1, 2]), 0.0)
