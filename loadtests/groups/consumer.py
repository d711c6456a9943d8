"""A member of a KIP-848 consumer group over a connection of our own."""
from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from fastbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from loadtests.groups.classic import check
from loadtests.groups.peer import Peer

VERSION = 1
FENCED, UNKNOWN_MEMBER = 110, 25
LEAVES = -1


class ConsumerMember:
    """One member of a group that reads one topic; `assigned(partitions)` as that changes.

    What it is told to give up it gives up at once, and says so with its next heartbeat, at once.
    """

    def __init__(
        self, peer: Peer, group: str, topic: str, *, assigned: Callable[[set[int]], object]
    ) -> None:
        self.peer, self.group, self.topic, self.assigned = peer, group, topic, assigned
        self.member_id, self.epoch = str(uuid.uuid4()), 0
        self.interval_s = 0.0
        self.owned: set[int] = set()
        self._topic_id = bytes(16)
        self.changed = False
        self.stable = asyncio.Event()

    async def run(self) -> None:
        """Be a member until cancelled."""
        while True:
            self.take(await self.peer.call(self.heartbeat(), VERSION))
            if not self.changed:
                self.stable.set()
                await asyncio.sleep(self.interval_s)

    def heartbeat(self) -> ConsumerGroupHeartbeatRequest:
        """The next one: all about us in the first, what we own after a change."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self.member_id, member_epoch=self.epoch
        )
        if self.epoch == 0:
            request.rebalance_timeout_ms = 300_000
            request.subscribed_topic_names = [self.topic]
            request.topic_partitions = []
        elif self.changed:
            owned = ConsumerGroupHeartbeatRequest.TopicPartitions(
                topic_id=self._topic_id, partitions=sorted(self.owned)
            )
            request.topic_partitions = [owned] if self.owned else []
        self.changed = False
        return request

    def take(self, answer: Any) -> None:
        """What the coordinator said."""
        if answer.error_code in (FENCED, UNKNOWN_MEMBER):
            self.epoch = 0
            self._own(set())
            self.changed = True  # join again at once
            return
        check(answer.error_code)
        self.epoch, self.interval_s = answer.member_epoch, answer.heartbeat_interval_ms / 1000
        if answer.assignment is not None:
            told: set[int] = set()
            for one in answer.assignment.topic_partitions:
                self._topic_id = bytes(one.topic_id)
                told |= set(one.partitions)
            self._own(told)

    def _own(self, partitions: set[int]) -> None:
        if partitions != self.owned:
            self.owned, self.changed = partitions, True
            self.assigned(partitions)
