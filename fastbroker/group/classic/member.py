"""A member of a classic group."""
from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from fastbroker.model import Deferred, Timer
from fastbroker.protocol.messages.join_group import JoinGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupResponse


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """One member: what it offers, what it was given, and the request it waits with.

    protocols: metadata by protocol name, in the member's order of preference; our own copies.
    is_new: its first JoinGroup is not answered yet, so it has nothing to send a heartbeat with.
    deadline_ms, alarm_ms: when the session ends; when `session` will look.
    """

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: dict[str, bytes]
    assignment: bytes = b""
    is_new: bool = False
    awaiting_join: Deferred[JoinGroupResponse] | None = None
    awaiting_sync: Deferred[SyncGroupResponse] | None = None
    session: Timer | None = None
    deadline_ms: int = 0
    alarm_ms: int = 0

    @property
    def waits(self) -> bool:
        """Whether it waits for an answer of ours, and so cannot send heartbeats."""
        return self.awaiting_join is not None or self.awaiting_sync is not None

    def vote(self, candidates: Container[str]) -> str:
        """Its favourite among `candidates`, one of which it supports."""
        return next(name for name in self.protocols if name in candidates)

    def take_sync(self) -> Deferred[SyncGroupResponse] | None:
        """The SyncGroup it waits with, which the caller is to answer."""
        answer, self.awaiting_sync = self.awaiting_sync, None
        return answer
