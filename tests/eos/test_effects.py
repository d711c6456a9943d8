"""The comparison of inputs and outputs finds what it looks for; so does the reader of our own."""
from __future__ import annotations

import pytest

from fastbroker.records.builder import build_batch
from fastbroker.records.control import ABORT, COMMIT, control_key
from tests.eos.effects import differences
from tests.eos.raw import visible

INPUTS = {0: [(0, "a", "i0"), (1, "b", "i1"), (2, "a", "i2")], 1: [(0, "c", "i3")]}
OUTPUTS = {0: [(0, "a", "i0@x"), (1, "b", "i1@x"), (3, "a", "i2@y")], 1: [(0, "c", "i3@x")]}


def test_a_whole_copy_passes() -> None:
    assert differences(INPUTS, OUTPUTS) == []
    assert differences(INPUTS, {**OUTPUTS, 0: [OUTPUTS[0][n] for n in (0, 2, 1)]}) == []


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({0: OUTPUTS[0]}, "lost"),
        ({**OUTPUTS, 0: [*OUTPUTS[0], (4, "a", "i2@z")]}, "duplicate"),
        ({**OUTPUTS, 0: [OUTPUTS[0][n] for n in (2, 1, 0)]}, "out of order"),
        ({0: [*OUTPUTS[0], (4, "c", "i3@z")]}, "stray"),
        ({**OUTPUTS, 1: [(0, "d", "i3@x")]}, "stray"),
        ({**OUTPUTS, 1: [*OUTPUTS[1], (1, "c", "i9@x")]}, "stray"),
    ],
    ids=["lost", "duplicate", "reordered", "moved", "another key", "nobody's"],
)
def test_a_planted_fault_is_told(
    outputs: dict[int, list[tuple[int, str, str]]], says: str
) -> None:
    assert [line for line in differences(INPUTS, outputs) if line.startswith(says)]


def test_aborted_batches_are_not_visible() -> None:
    def batch(offset: int, producer: int, value: bytes) -> bytes:
        return bytes(
            build_batch(
                [(b"k", value, [], 0)], base_offset=offset, producer_id=producer,
                producer_epoch=0, base_sequence=0, is_transactional=True,
            )
        )  # fmt: skip

    def marker(offset: int, producer: int, kind: int) -> bytes:
        return bytes(
            build_batch(
                [(control_key(kind), b"\0\0\0\0\0\0", [], 0)], base_offset=offset,
                producer_id=producer, producer_epoch=0, is_transactional=True, is_control=True,
            )
        )  # fmt: skip

    plain = bytes(build_batch([(b"k", b"plain", [], 0)], base_offset=4))
    data = batch(0, 7, b"gone") + batch(1, 8, b"stays") + marker(2, 7, ABORT)
    data += batch(3, 7, b"next") + plain + marker(5, 8, COMMIT) + marker(6, 7, COMMIT)
    records, end = visible(data, [(0, 7)], 0)
    assert records == [(1, "k", "stays"), (3, "k", "next"), (4, "k", "plain")]
    assert end == 7
