"""A client with the classic protocol in a consumer group, and what it says inside JoinGroup."""
from __future__ import annotations

from typing import Any

from fastbroker import errors
from fastbroker._c.codec import encode
from fastbroker.group.consumer import embedded
from fastbroker.protocol.consumer_protocol import ConsumerProtocolSubscription
from fastbroker.protocol.messages.heartbeat import HeartbeatResponse
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.sync_group import SyncGroupResponse
from fastbroker.protocol.schema import plan
from tests.group.bench import Client, now
from tests.group.consumer.bench import ConsumerBench, Partitions


def metadata(topics: list[str], owned: Partitions) -> bytes:
    by_topic: dict[str, list[int]] = {}
    for name, number in sorted(owned):
        by_topic.setdefault(name, []).append(number)
    value = ConsumerProtocolSubscription(
        topics=topics,
        owned_partitions=[
            ConsumerProtocolSubscription.TopicPartition(topic=name, partitions=numbers)
            for name, numbers in by_topic.items()
        ],
    )
    return encode(plan(ConsumerProtocolSubscription, 1), value, b"\0\1")


class ClassicConsumer:
    """A client with the classic protocol and a cooperative assignor."""

    def __init__(
        self, bench: ConsumerBench, *topics: str, instance: str | None = None
    ) -> None:
        self.bench, self.topics, self.instance = bench, list(topics or ("orders",)), instance
        self.member_id, self.generation, self.leads = "", -1, False
        self.owned: Partitions = set()
        self.members: list[str] = []
        self._rejoins = self._syncs = False

    def join(self) -> Any:
        answer = self._join()
        if getattr(answer, "error_code", 0) == errors.MemberIdRequired.code:
            self.member_id = answer.member_id
            answer = self._join()
        return answer

    def _join(self) -> Any:
        request = JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=30_000,
            member_id=self.member_id,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(
                    name="cooperative-sticky",
                    metadata=memoryview(metadata(self.topics, self.owned)),
                )
            ],
        )
        return now(self.bench.coordinator.members.join_group(Client(9), request))

    def joined(self, answer: Any) -> None:
        assert answer.error_code == 0
        self.member_id, self.generation = answer.member_id, answer.generation_id
        self.leads = answer.leader == self.member_id
        self.members = [one.member_id for one in answer.members]

    def sync(self, assignments: dict[str, bytes] | None = None) -> Any:
        answer = self.bench.sync(
            self.member_id, self.generation, assignments, instance=self.instance
        )
        if getattr(answer, "error_code", None) == 0:
            found = embedded.assignment(bytes(answer.assignment))
            assert found is not None
            self.owned = {(name, n) for name, numbers in found.items() for n in numbers}
        return answer

    def beat(self) -> int:
        return self.bench.heartbeat(self.member_id, self.generation, self.instance)

    def keep_up(self) -> None:
        """As a client does: joins again when told to, and fetches its part."""
        if self.beat() == errors.RebalanceInProgress.code:
            answer = self.join()
            if hasattr(answer, "error_code") and answer.error_code == 0:
                self.joined(answer)
                self.sync()

    # One request after the other, each when the last one is answered.

    def next(self) -> Any:
        """The request that the client sends next: it joins, fetches its part, stays."""
        if self.generation < 0 or self._rejoins:
            return self._join()
        if self._syncs:
            assignments = None
            if self.leads:
                topics = {"orders": list(range(self.bench.partition_count("orders")))}
                parts = {one: embedded.assignment_bytes({}, 1) for one in self.members}
                parts[self.member_id] = embedded.assignment_bytes(topics, 1)
                assignments = parts
            return now(self.bench.sync(self.member_id, self.generation, assignments))
        return HeartbeatResponse(error_code=self.beat())

    def answered(self, answer: Any) -> None:
        """What the client makes of an answer."""
        code = answer.error_code
        if code == errors.MemberIdRequired.code:
            self.member_id = answer.member_id
        elif code in (errors.UnknownMemberId.code, errors.IllegalGeneration.code):
            self.owned, self.generation = set(), -1
            if code == errors.UnknownMemberId.code:
                self.member_id = ""
        elif code == errors.RebalanceInProgress.code:
            self._rejoins = True
        elif not code and isinstance(answer, JoinGroupResponse):
            self.joined(answer)
            self._rejoins, self._syncs = False, True
        elif not code and isinstance(answer, SyncGroupResponse):
            found = embedded.assignment(bytes(answer.assignment))
            assert found is not None
            told = {(name, n) for name, numbers in found.items() for n in numbers}
            self._syncs = False
            # A cooperative client that has to let go of something joins again at once.
            self._rejoins = not self.owned <= told
            self.owned = told
