"""Where a key is kept."""
from __future__ import annotations

import pytest

from fastbroker.coordination import hashing
from fastbroker.coordination.hashing import java_hash, partition_of


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("", 0),
        ("abc", 96354),
        ("test-group", 627841412),
        ("billing", -109829509),
        ("polygenelubricants", -(1 << 31)),
        ("gruppe-\N{LATIN SMALL LETTER U WITH DIAERESIS}", 673522922),
        ("\N{GRINNING FACE}", 1772899),
    ],
)
def test_the_hash_is_javas(text: str, hashed: int) -> None:
    assert java_hash(text) == hashed


def test_the_smallest_hash_has_no_absolute_value() -> None:
    assert partition_of("polygenelubricants", 50) == 0
    assert partition_of("abc", 50) == 4


def test_long_texts_are_not_kept() -> None:
    limit = hashing.KEPT_CHARACTERS_MAX
    hashing._kept.cache_clear()
    assert java_hash("a" * (limit + 1)) == java_hash("a" * (limit + 1))
    assert hashing._kept.cache_info().currsize == 0
    assert java_hash("a" * limit) == java_hash("a" * limit)
    assert hashing._kept.cache_info().currsize == 1
