"""Lines in the log about one thing among many, a client or a group: few, whatever clients do."""
from __future__ import annotations

BURST = 10  # lines about one of them at once
LINE_EVERY_S = 1.0  # and one more after so long
NAMES_MAX = 1000


class LogRate:
    """Whether a line may be written. Owned by whoever writes it.

    What was held back is counted, and told with the next line about the same thing.
    """

    def __init__(self, *, burst: int = BURST, line_every_s: float = LINE_EVERY_S) -> None:
        self._burst, self._line_every_s = burst, line_every_s
        self._buckets: dict[str, _Bucket] = {}

    def allows(self, name: str, now_s: float) -> bool:
        """Whether to write a line about `name` now."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= NAMES_MAX:
                del self._buckets[next(iter(self._buckets))]  # the one known for longest
            bucket = self._buckets[name] = _Bucket(self._burst, now_s)
        bucket.left = min(self._burst, bucket.left + (now_s - bucket.at_s) / self._line_every_s)
        bucket.at_s = now_s
        if bucket.left < 1:
            bucket.held_back += 1
            return False
        bucket.left -= 1
        return True

    def held_back(self, name: str) -> int:
        """Lines about `name` that were not written since the last that was; forgets them."""
        bucket = self._buckets.get(name)
        if bucket is None:
            return 0
        count, bucket.held_back = bucket.held_back, 0
        return count


class _Bucket:
    __slots__ = ("at_s", "held_back", "left")

    def __init__(self, burst: int, now_s: float) -> None:
        self.left, self.at_s, self.held_back = float(burst), now_s, 0
