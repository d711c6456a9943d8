"""Consumers with the consumer protocol, as clients of a coordinator on a test's clock and log."""
from __future__ import annotations

from typing import Any

from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.model import Deferred
from fastbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from fastbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from tests.group.bench import Bench, Client, now

Partitions = set[tuple[str, int]]
Sent = ConsumerGroupHeartbeatRequest.TopicPartitions


class ConsumerBench(Bench):
    """A Bench with topics "orders" and "clicks" of few partitions, for consumers to read."""

    def __init__(self, *, partitions: int = 6, **given: Any) -> None:
        super().__init__(**given)
        self.partitions = dict.fromkeys(self.topics, partitions)
        self.ids = dict(self.topics)  # of deleted topics, too

    def consumer(self, member_id: str, *topics: str, **how: Any) -> Consumer:
        """A client that has not joined yet."""
        return Consumer(self, member_id, *topics, **how)

    def consumers(self, count: int, **how: Any) -> list[Consumer]:
        """As many, joined and with nothing left to do."""
        made = [self.consumer(f"m{n}", **how) for n in range(count)]
        for one in made:
            one.join()
            self.timers.advance(20)
        self.settle(*made)
        return made

    def settle(self, *consumers: Consumer) -> None:
        """Everyone sends heartbeats, and does as it is told, until nothing changes any more."""
        for _ in range(20):
            self.timers.advance(50)
            before = [(one.epoch, set(one.owned)) for one in consumers]
            for one in consumers:
                one.beat()
            if before == [(one.epoch, one.owned) for one in consumers]:
                return
        raise AssertionError("the group does not settle")

    def consumer_group(self, group_id: str = "g") -> ConsumerGroup:
        group = self.coordinator.shards.of(group_id).groups[group_id]
        assert isinstance(group, ConsumerGroup)
        return group

    def heartbeat_as(
        self,
        member_id: str,
        epoch: int,
        *,
        version: int = 1,
        group_id: str = "g",
        client_id: str = "c",
        owned: Partitions | None = None,
        **said: Any,
    ) -> Any:
        """A heartbeat, answered or not yet; `said`: further fields."""
        if owned is not None:
            said["topic_partitions"] = self.sent(owned)
        request = ConsumerGroupHeartbeatRequest(
            group_id=group_id, member_id=member_id, member_epoch=epoch, **said
        )
        return now(
            self.coordinator.members.consumer_group_heartbeat(Client(version, client_id), request)
        )

    def join_as(self, member_id: str, *topics: str, **said: Any) -> Any:
        """The heartbeat of a newcomer."""
        said = {"rebalance_timeout_ms": 60_000, "owned": set()} | said
        if "subscribed_topic_regex" not in said:
            said.setdefault("subscribed_topic_names", list(topics) or ["orders"])
        return self.heartbeat_as(member_id, 0, **said)

    def sent(self, owned: Partitions) -> list[Sent]:
        by_topic: dict[str, list[int]] = {}
        for name, number in sorted(owned):
            by_topic.setdefault(name, []).append(number)
        return [
            Sent(topic_id=self.ids[name], partitions=numbers)
            for name, numbers in by_topic.items()
        ]

    def told(self, response: Any) -> Partitions | None:
        """The assignment in an answer; None: there is none."""
        if response.assignment is None:
            return None
        names = {topic_id: name for name, topic_id in self.ids.items()}
        return {
            (names[one.topic_id], number)
            for one in response.assignment.topic_partitions
            for number in one.partitions
        }

    def describe_consumers(
        self, group_id: str = "g", version: int = 1, *, explain: bool = False
    ) -> Any:
        request = ConsumerGroupDescribeRequest(group_ids=[group_id], explain=explain)
        answer = self.coordinator.administration.describe_consumers(Client(version), request)
        (one,) = answer.groups
        return one

    def topics_change(self, **counts: int) -> None:
        """Topics come, go (0) or get another number of partitions."""
        came_or_went = set()
        for name, count in counts.items():
            if not count:
                del self.topics[name]
                came_or_went.add(name)
            elif name not in self.topics:
                self.topics[name] = self.ids[name] = name.encode().rjust(16, b"\0")
                came_or_went.add(name)
            self.partitions[name] = count
        self.coordinator.on_topics_changed(set(counts), came_or_went)


class Consumer:
    """A client: it does as it is told at once, and says so with its next heartbeat.

    owned: what it reads. epoch: that it was told last; 0: it is to join. error: of its last answer.
    assigned: what it was told to own. interval_ms: when to send the next heartbeat.
    """

    def __init__(
        self,
        bench: ConsumerBench,
        member_id: str,
        *topics: str,
        instance: str | None = None,
        regex: str | None = None,
        assignor: str | None = None,
        rebalance_timeout_ms: int = 60_000,
        group_id: str = "g",
    ) -> None:
        self.bench, self.member_id, self.instance = bench, member_id, instance
        self.topics, self.regex, self.assignor = topics or ("orders",), regex, assignor
        self.rebalance_timeout_ms, self.group_id = rebalance_timeout_ms, group_id
        self.epoch, self.error, self.interval_ms = 0, 0, 0
        self.owned: Partitions = set()
        self.assigned: Partitions = set()
        self._said: Partitions | None = None

    def join(self) -> Any:
        """Join, or join again after having been fenced."""
        self.owned, self.assigned, self.epoch = set(), set(), 0
        names = None if self.regex is not None else list(self.topics)
        return self._send(
            0,
            owned=set(),
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            subscribed_topic_names=names,
            subscribed_topic_regex=self.regex,
            server_assignor=self.assignor,
        )

    def subscribe(self, *topics: str) -> Any:
        """Subscribe to other topics."""
        self.topics = topics
        return self._send(self.epoch, subscribed_topic_names=list(topics))

    def beat(self) -> Any:
        """A heartbeat; with what it owns if that changed since it said so."""
        if not self.epoch:
            return self.join()
        return self._send(self.epoch, owned=None if self._said == self.owned else self.owned)

    def leave(self, *, for_a_while: bool = False) -> Any:
        answer = self.bench.heartbeat_as(
            self.member_id,
            -2 if for_a_while else -1,
            group_id=self.group_id,
            instance_id=self.instance,
        )
        self.epoch = 0
        return answer

    def _send(self, epoch: int, *, owned: Partitions | None = None, **said: Any) -> Any:
        answer = self.bench.heartbeat_as(
            self.member_id,
            epoch,
            owned=owned,
            group_id=self.group_id,
            instance_id=self.instance,
            **said,
        )
        if owned is not None:
            self._said = set(owned)
        if isinstance(answer, Deferred):
            answer.then(lambda done: self._answered(done.result()))
        else:
            self._answered(answer)
        return answer

    def _answered(self, answer: Any) -> None:
        self.error = answer.error_code
        if answer.error_code in (110, 25, 82):
            self.epoch, self.owned = 0, set()
        if answer.error_code:
            self._said = None  # whether it was heard is not known
            return
        self.epoch, self.interval_ms = answer.member_epoch, answer.heartbeat_interval_ms
        told = self.bench.told(answer)
        if told is not None:
            self.assigned, self.owned = told, set(told)
