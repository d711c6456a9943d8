"""Which partition a record goes to, as Kafka's Java producer decides it.

A key always goes to the same partition: (murmur2(key) & 0x7fffffff) % partitions. Records without
a key stay on one partition until a batch is full, then move to another (KIP-480, KIP-794).
"""
from __future__ import annotations

import random
from collections.abc import Sequence

_MASK = 0xFFFFFFFF
_SEED, _M, _R = 0x9747B28C, 0x5BD1E995, 24


def of_key(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash, unsigned, with the seed of Kafka's clients."""
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> _R) * _M & _MASK
        h = h * _M & _MASK ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


class Sticky:
    """One of several partitions, until `batch_bytes` have gone there."""

    def __init__(self, partitions: Sequence[int], batch_bytes: int) -> None:
        self._partitions, self._batch_bytes = partitions, batch_bytes
        self._current = random.choice(partitions)
        self._bytes = 0

    def next(self, size: int) -> int:
        """The partition of a record of `size` bytes."""
        if self._bytes >= self._batch_bytes:
            others = [one for one in self._partitions if one != self._current]
            self._current = random.choice(others or self._partitions)
            self._bytes = 0
        self._bytes += size
        return self._current
