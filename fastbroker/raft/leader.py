"""What a leader knows of the others, and the high watermark that follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastbroker.protocol.messages.describe_quorum import ReplicaState
from fastbroker.raft.messages import ReplicaKey

OBSERVER_FORGOTTEN_MS = 300_000
OBSERVERS_MAX = 10_000


@dataclass(slots=True)
class _Progress:
    """Times are -1 until known. leader_end: our log end at its last fetch."""

    end_offset: int = -1
    fetched_ms: int = -1
    caught_up_ms: int = -1
    leader_end: int = -1

    def fetch(self, offset: int, *, leader_end: int, now_ms: int) -> None:
        if offset >= leader_end:
            self.caught_up_ms = now_ms
        elif 0 <= self.leader_end <= offset:
            self.caught_up_ms = self.fetched_ms
        self.end_offset, self.fetched_ms, self.leader_end = offset, now_ms, leader_end


class LeaderState:
    """One epoch of leadership. epoch_start: offset of its first record, the LeaderChange.

    Owned by the Quorum of the leader's process.
    """

    def __init__(
        self, own_id: int, voters: Iterable[ReplicaKey], *, epoch_start: int, high_watermark: int
    ) -> None:
        self.own_id, self.epoch_start, self.high_watermark = own_id, epoch_start, high_watermark
        self._voters = {voter: _Progress() for voter in voters}
        self._observers: dict[ReplicaKey, _Progress] = {}

    def flushed(self, end_offset: int) -> bool:
        """Our own disk has everything below; whether the high watermark moved."""
        for voter, progress in self._voters.items():
            if voter.id == self.own_id:
                progress.end_offset = end_offset
        return self._advance()

    def fetched(self, replica: ReplicaKey, offset: int, *, leader_end: int, now_ms: int) -> bool:
        """A replica has everything below `offset`; whether the high watermark moved."""
        progress = self._voters.get(replica)
        if progress is None:
            progress = self._observer(replica, now_ms)
        progress.fetch(offset, leader_end=leader_end, now_ms=now_ms)
        return replica in self._voters and self._advance()

    def voters(self, *, log_end_offset: int, now_ms: int) -> list[ReplicaState]:
        """The voters as DescribeQuorum shows them."""
        out = []
        for voter, progress in self._voters.items():
            if voter.id == self.own_id:
                progress = _Progress(log_end_offset, now_ms, now_ms)
            out.append(_described(voter, progress))
        return out

    def observers(self, now_ms: int) -> list[ReplicaState]:
        """The observers that have fetched lately."""
        self._forget(now_ms)
        return [_described(replica, progress) for replica, progress in self._observers.items()]

    def _observer(self, replica: ReplicaKey, now_ms: int) -> _Progress:
        if len(self._observers) >= OBSERVERS_MAX:
            self._forget(now_ms)
            if len(self._observers) >= OBSERVERS_MAX:
                return _Progress()  # served, not remembered
        return self._observers.setdefault(replica, _Progress())

    def _forget(self, now_ms: int) -> None:
        self._observers = {
            replica: progress
            for replica, progress in self._observers.items()
            if now_ms - progress.fetched_ms < OBSERVER_FORGOTTEN_MS
        }

    def _advance(self) -> bool:
        ends = sorted((p.end_offset for p in self._voters.values()), reverse=True)
        majority = ends[len(ends) // 2]
        # A record of this epoch has to be among them: an older one on a majority can still be
        # overwritten by a leader that has a newer epoch (Raft, 5.4.2).
        if majority > self.epoch_start and majority > self.high_watermark:
            self.high_watermark = majority
            return True
        return False


def _described(replica: ReplicaKey, progress: _Progress) -> ReplicaState:
    return ReplicaState(
        replica_id=replica.id,
        replica_directory_id=replica.directory_id,
        log_end_offset=progress.end_offset,
        last_fetch_timestamp=progress.fetched_ms,
        last_caught_up_timestamp=progress.caught_up_ms,
    )
