"""The time of the record at an offset."""
from __future__ import annotations

from typing import Any, cast

from fastbroker.cli.leaders import Found, Leaders
from fastbroker.cli.log_offsets import NO_TIME, first_time, offsets_at
from fastbroker.records.builder import RawRecord, build_batch


def batch(base: int, times: list[int], *, is_control: bool = False) -> bytes:
    key = b"\0\0\0\1" if is_control else None
    records: list[RawRecord] = [(key, b"v", [], time) for time in times]
    return bytes(build_batch(records, base_offset=base, is_control=is_control))


def test_it_is_of_the_record_and_not_of_its_batch() -> None:
    data = batch(10, [100, 200, 300])
    assert first_time(data, 10) == (100, 13)
    assert first_time(data, 11) == (200, 13)


def test_the_next_record_counts_where_the_offset_was_compacted_away() -> None:
    assert first_time(batch(0, [1]) + batch(5, [50]), 3) == (50, 6)


def test_control_batches_are_passed_over() -> None:
    marker = batch(3, [7], is_control=True)
    assert first_time(marker + batch(4, [50]), 3) == (50, 5)
    assert first_time(marker, 3) == (None, 4)


def test_without_a_whole_batch_there_is_nothing_to_go_on_from() -> None:
    assert first_time(b"", 3) == (None, None)
    assert first_time(batch(3, [7])[:-1], 3) == (None, None)


def test_a_batch_that_cannot_be_read_has_no_time() -> None:
    broken = bytearray(batch(3, [7]))
    broken[-1] ^= 1
    assert first_time(bytes(broken), 3) == (NO_TIME, None)


def test_a_time_before_all_records_is_no_special_timestamp() -> None:
    asked: list[int] = []

    class Asked:
        def ask(self, partitions: Any, make: Any, read: Any) -> Found[int]:
            (topic,) = make({"t": [0]}).topics
            asked.extend(one.timestamp for one in topic.partitions)
            return Found({}, {})

    for time_ms in (-1, -86_400_000, 5):
        offsets_at(cast(Leaders, Asked()), [], time_ms)
    assert asked == [0, 0, 5]
