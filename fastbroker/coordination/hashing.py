"""Which partition of an internal topic keeps a key: Java's hash of a text, as Kafka has it."""
from __future__ import annotations

from functools import lru_cache

HASHES_KEPT = 10_000  # of texts that were asked for last
KEPT_CHARACTERS_MAX = 256  # a longer text is not kept: ten thousand of 32 KiB are a third of a GiB


def partition_of(key: str, count: int) -> int:
    """The partition, of `count`, that keeps `key`: `abs(hash) mod count`."""
    hashed = java_hash(key)
    return 0 if hashed == -(1 << 31) else abs(hashed) % count


def java_hash(text: str) -> int:
    """String.hashCode of Java: over UTF-16 code units, as a signed 32-bit number."""
    return _kept(text) if len(text) <= KEPT_CHARACTERS_MAX else _hashed(text)


def _hashed(text: str) -> int:
    hashed = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        hashed = (31 * hashed + (units[at] << 8) + units[at + 1]) & 0xFFFFFFFF
    return hashed - (1 << 32) if hashed >= 1 << 31 else hashed


_kept = lru_cache(HASHES_KEPT)(_hashed)
