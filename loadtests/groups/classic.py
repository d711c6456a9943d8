"""A member of a classic group over our own connection: joins, deals partitions, keeps alive."""
from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupRequest
from loadtests.groups.peer import Peer

JOIN_VERSION, SYNC_VERSION, HEARTBEAT_VERSION = 9, 5, 4
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, UNKNOWN_MEMBER = 79, 27, 22, 25
AGAIN = {REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, UNKNOWN_MEMBER}
HEARTBEAT_S = 3.0  # what clients do by default


class ClassicMember:
    """One member; `assigned(partitions)` is called with what it may read, nothing in a rebalance.

    The topic's partitions are dealt by their leader in turn. An assignment is a list of int32.
    """

    def __init__(
        self,
        peer: Peer,
        group: str,
        partitions: int,
        *,
        session_ms: int,
        assigned: Callable[[set[int]], object],
    ) -> None:
        self.peer, self.group, self.partitions = peer, group, partitions
        self.session_ms, self.assigned = session_ms, assigned
        self.member_id, self.generation = "", -1
        self.stable = asyncio.Event()

    async def run(self) -> None:
        """Be a member until cancelled."""
        while True:
            await self.join()
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                answer = await self.peer.call(self.heartbeat(), HEARTBEAT_VERSION)
                if answer.error_code in AGAIN:
                    break
                check(answer.error_code)
            self.stable.clear()
            self.assigned(set())

    async def join(self) -> None:
        """Become a member of a generation with an assignment."""
        while True:
            joined = await self.peer.call(self._join(), JOIN_VERSION)
            if joined.error_code in (MEMBER_ID_REQUIRED, UNKNOWN_MEMBER):
                known = joined.error_code == MEMBER_ID_REQUIRED
                self.member_id = joined.member_id if known else ""
                continue
            if joined.error_code in AGAIN:
                continue
            check(joined.error_code)
            self.member_id, self.generation = joined.member_id, joined.generation_id
            synced = await self.peer.call(self._sync(joined), SYNC_VERSION)
            if synced.error_code not in AGAIN:
                check(synced.error_code)
                self.assigned(unpacked(bytes(synced.assignment)))
                self.stable.set()
                return

    def heartbeat(self) -> HeartbeatRequest:
        return HeartbeatRequest(
            group_id=self.group, generation_id=self.generation, member_id=self.member_id
        )

    def _join(self) -> JoinGroupRequest:
        return JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_ms,
            rebalance_timeout_ms=300_000,
            member_id=self.member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="in turn", metadata=b"")],
        )

    def _sync(self, joined: JoinGroupResponse) -> SyncGroupRequest:
        assignments = []
        names = sorted(one.member_id for one in joined.members)
        for at, name in enumerate(names):
            dealt = range(at, self.partitions, len(names))
            assignments.append(
                SyncGroupRequest.SyncGroupRequestAssignment(
                    member_id=name, assignment=packed(set(dealt))
                )
            )
        return SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member_id,
            protocol_type="consumer",
            protocol_name="in turn",
            assignments=assignments,
        )


def packed(partitions: set[int]) -> bytes:
    return b"".join(one.to_bytes(4, "big") for one in sorted(partitions))


def unpacked(assignment: bytes) -> set[int]:
    return {int.from_bytes(assignment[at : at + 4], "big") for at in range(0, len(assignment), 4)}


def check(error_code: int) -> None:
    if error_code:
        raise SystemExit(f"a member was told error {error_code}")
