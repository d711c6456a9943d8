"""Incremental fetch (KIP-227): what a client has asked for is remembered, and only changes travel.

A session holds the partitions of a client in the order in which they are served. The cache has a
fixed number of slots; in a full one a session gives way when it is idle, or when it is old and
holds fewer partitions than the newcomer. A client that loses its session starts a full fetch.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastbroker.errors import (
    FetchSessionIdNotFound,
    FetchSessionTopicIdError,
    InvalidFetchSessionEpoch,
)

NO_SESSION, FINAL_EPOCH, INITIAL_EPOCH = 0, -1, 0
EPOCH_MAX = 2**31 - 1
IDLE_MS = 120_000

Key = tuple[str | bytes, int]  # topic name, or id, and partition


class SessionPartition:
    """One partition of a session: what is asked for, and what the client was last told."""

    __slots__ = ("asked", "high_watermark", "log_start_offset", "number", "topic", "topic_id")

    def __init__(self, topic: str, topic_id: bytes, number: int, asked: Any) -> None:
        self.topic, self.topic_id, self.number, self.asked = topic, topic_id, number, asked
        self.high_watermark = self.log_start_offset = -1


class FetchSession:
    """One client's partitions, by key; `epoch` is the one that its next request must carry.

    by_id: keys name topics by their ids; fixed for the life of a session.
    """

    def __init__(self, session_id: int, *, by_id: bool, now_ms: int) -> None:
        self.id, self.by_id = session_id, by_id
        self.epoch = 1
        self.partitions: dict[Key, SessionPartition] = {}
        self.created_ms = self.used_ms = now_ms

    def update(
        self, asked: Iterable[tuple[Key, SessionPartition]], forgotten: Iterable[Key]
    ) -> None:
        """Add and change partitions, then forget some."""
        for key, fresh in asked:
            known = self.partitions.get(key)
            if known is None:
                self.partitions[key] = fresh
            else:
                known.asked = fresh.asked
        for key in forgotten:
            self.partitions.pop(key, None)

    def answered(self, key: Key) -> None:
        """A partition that had data goes to the end of the order, unless a later request has made
        the session forget it."""
        known = self.partitions.pop(key, None)
        if known is not None:
            self.partitions[key] = known


class FetchSessions:
    """All sessions of a broker; at most `slots`. new_id: random ids from [1, 2^31)."""

    def __init__(self, slots: int, new_id: Callable[[], int]) -> None:
        self.slots, self.new_id = slots, new_id
        self.sessions: dict[int, FetchSession] = {}

    def __len__(self) -> int:
        return len(self.sessions)

    def begin(self, partitions: int, *, by_id: bool, now_ms: int) -> FetchSession | None:
        """A new session for a full fetch; None when every slot is better used."""
        if self.slots <= 0:
            return None
        if len(self.sessions) >= self.slots and not self._evict(partitions, now_ms):
            return None
        session_id = self.new_id()
        while session_id in self.sessions or session_id == NO_SESSION:
            session_id = self.new_id()
        session = FetchSession(session_id, by_id=by_id, now_ms=now_ms)
        self.sessions[session_id] = session
        return session

    def go_on(
        self,
        session_id: int,
        epoch: int,
        asked: Iterable[tuple[Key, SessionPartition]],
        forgotten: Iterable[Key],
        *,
        by_id: bool,
        now_ms: int,
    ) -> FetchSession | None:
        """The session of an incremental fetch, updated; None when it has no partitions left, which
        ends it.

        Raises FetchSessionIdNotFound, InvalidFetchSessionEpoch, FetchSessionTopicIdError.
        """
        session = self.sessions.get(session_id)
        if session is None:
            raise FetchSessionIdNotFound(f"fetch session {session_id} is not known here any more")
        if session.epoch != epoch:
            raise InvalidFetchSessionEpoch(
                f"fetch session {session_id} expects epoch {session.epoch}, not {epoch}"
            )
        if session.by_id != by_id:
            raise FetchSessionTopicIdError(
                f"fetch session {session_id} was begun {'with' if session.by_id else 'without'}"
                " topic ids"
            )
        session.update(asked, forgotten)
        if not session.partitions:
            self.end(session_id)
            return None
        session.epoch = 1 if epoch == EPOCH_MAX else epoch + 1
        session.used_ms = now_ms
        # Dicts keep the order of insertion: the first session is the one unused for longest.
        self.sessions[session_id] = self.sessions.pop(session_id)
        return session

    def end(self, session_id: int) -> None:
        self.sessions.pop(session_id, None)

    def _evict(self, partitions: int, now_ms: int) -> bool:
        """Make room for a session of so many partitions; whether there is some."""
        victim: FetchSession | None = next(iter(self.sessions.values()))
        assert victim is not None
        if now_ms - victim.used_ms <= IDLE_MS:
            # A session younger than that is left alone: crowds of new ones would only take turns.
            old = [one for one in self.sessions.values() if now_ms - one.created_ms > IDLE_MS]
            victim = min(old, key=lambda one: len(one.partitions), default=None)
            if victim is None or len(victim.partitions) >= partitions:
                return False
        self.end(victim.id)
        return True
