"""Which processes still answer: by the beats of their event loops."""
from __future__ import annotations

from typing import NamedTuple


class _Seen(NamedTuple):
    beats: int
    at_s: float


class Watch:
    """Owned by the supervisor. limit_s: a loop that does not turn for so long is hung.

    A process is looked at from its first beat on: before, it may be reading its logs.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._seen: dict[str, _Seen] = {}

    def silent_s(self, role: str, beats: int, now_s: float) -> float:
        """For how long `role`, which has beaten so many times by now, has not beaten again."""
        seen = self._seen.get(role)
        if seen is None or seen.beats != beats or not beats:
            self._seen[role] = _Seen(beats, now_s)
            return 0.0
        return now_s - seen.at_s

    def is_hung(self, role: str, beats: int, now_s: float) -> bool:
        return self.silent_s(role, beats, now_s) > self.limit_s

    def forget(self, role: str) -> None:
        """It has ended."""
        self._seen.pop(role, None)
