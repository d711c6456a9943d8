"""Keys go where Kafka's Java client sends them; records without a key stay together."""
from __future__ import annotations

import pytest

from fastbroker.cli.partitioner import Sticky, murmur2, of_key


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # signed, as in Kafka's own tests
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF


def test_a_key_goes_to_one_partition_and_keys_to_all() -> None:
    assert of_key(b"foobar", 3) == (-790332482 & 0x7FFFFFFF) % 3
    assert {of_key(b"%d" % n, 7) for n in range(200)} == set(range(7))


def test_records_without_a_key_move_on_when_a_batch_is_full() -> None:
    sticky = Sticky([1, 4], batch_bytes=100)
    places = [sticky.next(50) for _ in range(6)]
    assert places[0] == places[1] != places[2] == places[3] != places[4]
    only = Sticky([4], batch_bytes=1)
    assert {only.next(10) for _ in range(5)} == {4}
