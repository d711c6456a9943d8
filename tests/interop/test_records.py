"""The comparison finds what it looks for: a planted loss, swap, change, stray or repeat."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.interop.records import PARTITIONS, Record, by_partition, differences, records_of

SOUND = records_of("t")


def test_equal_records_differ_in_nothing() -> None:
    again = [Record.from_json(record.to_json()) for record in records_of("t")]
    assert differences(by_partition(SOUND), by_partition(again)) == []


def test_partitions_may_arrive_in_any_order() -> None:
    sorted_by_partition = sorted(SOUND, key=lambda record: record.partition)
    assert differences(by_partition(SOUND), by_partition(sorted_by_partition)) == []


def test_two_topics_hold_different_records() -> None:
    renamed = [replace(record, topic="t") for record in records_of("u")]
    assert differences(by_partition(SOUND), by_partition(renamed))


def planted_loss(records: list[Record]) -> None:
    del records[PARTITIONS * 3]


def planted_last_loss(records: list[Record]) -> None:
    del records[-1]


def planted_swap(records: list[Record]) -> None:
    records[0], records[PARTITIONS] = records[PARTITIONS], records[0]


def planted_byte(records: list[Record]) -> None:
    value = records[0].value
    assert value
    records[0] = replace(records[0], value=value[:-1] + b"!")


def planted_empty_for_null(records: list[Record]) -> None:
    at = next(n for n, record in enumerate(records) if record.value is None)
    records[at] = replace(records[at], value=b"")


def planted_null_for_empty_key(records: list[Record]) -> None:
    at = next(n for n, record in enumerate(records) if record.key == b"")
    records[at] = replace(records[at], key=None)


def planted_header_order(records: list[Record]) -> None:
    records[-1] = replace(records[-1], headers=records[-1].headers[::-1])


def planted_header_empty_for_null(records: list[Record]) -> None:
    headers = tuple((name, value or b"") for name, value in records[-1].headers)
    records[-1] = replace(records[-1], headers=headers)


def planted_partition(records: list[Record]) -> None:
    records[0] = replace(records[0], partition=1)


def planted_repeat(records: list[Record]) -> None:
    records.append(records[-1])


@pytest.mark.parametrize(
    "plant",
    [
        planted_loss,
        planted_last_loss,
        planted_swap,
        planted_byte,
        planted_empty_for_null,
        planted_null_for_empty_key,
        planted_header_order,
        planted_header_empty_for_null,
        planted_partition,
        planted_repeat,
    ],
)
def test_a_planted_fault_is_found(plant: Callable[[list[Record]], None]) -> None:
    broken = list(SOUND)
    plant(broken)
    assert differences(by_partition(SOUND), by_partition(broken))


def test_the_list_of_differences_is_bounded() -> None:
    everything = by_partition(records_of(f"t{n}")[0] for n in range(100))
    assert 1 < len(differences(everything, {})) < 20
