"""What all consumer groups of a broker share: settings, time, and knowledge of topics."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from logging import Logger

from fastbroker.group.consumer import pace
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import ConsumerMember
from fastbroker.group.consumer.settings import ConsumerSettings, Overrides
from fastbroker.group.consumer.state import MemberState
from fastbroker.group.topics import Topics
from fastbroker.model import Timers

CHANGES_KEPT = 1_000  # topics that came or went; who has seen less looks at all topics
COUNT_EVERY_MS = 1_000


class Environment:
    """Owned by the coordinator's process.

    overrides(group id): its own settings. new_member_id(): like no other.
    count_members(): how many send heartbeats to this broker.
    topics_version: grows when a topic comes or goes.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        timers: Timers,
        log: Logger,
        *,
        topics: Topics,
        overrides: Callable[[str], Overrides],
        new_member_id: Callable[[], str],
        count_members: Callable[[], int],
    ) -> None:
        self.settings, self.timers, self.log = settings, timers, log
        self.topics, self.overrides, self.new_member_id = topics, overrides, new_member_id
        self.topics_version = 0
        self._count_members = count_members
        self._members = 0
        self._counted_until_ms = -1
        self._changed: deque[tuple[int, str]] = deque(maxlen=CHANGES_KEPT)

    # Time.

    def session_timeout_ms(self, group_id: str) -> int:
        own = self.overrides(group_id).get("consumer.session.timeout.ms")
        timeout_ms = self.settings.session.of(own)
        assert timeout_ms is not None
        return timeout_ms

    def heartbeat_ms(self, group: ConsumerGroup, member: ConsumerMember) -> int:
        """What the member is told: when to send its next heartbeat."""
        own = self.overrides(group.group_id).get("consumer.heartbeat.interval.ms")
        given = self.settings.heartbeat.of(own)
        members = self.members()
        calm_ms = pace.heartbeat_ms(members) if given is None else given
        if member.now.state is MemberState.STABLE and group.epoch == group.target_epoch:
            return calm_ms
        return min(calm_ms, pace.waiting_ms(members))

    def assignment_ms(self, group: ConsumerGroup) -> int:
        """The time from one target assignment of the group to the next."""
        own = self.overrides(group.group_id).get("consumer.assignment.interval.ms")
        given = self.settings.assignment.of(own)
        if given is not None:
            return given
        partitions = sum(self.topics.partition_count(name) for name in group.topic_names())
        return pace.assignment_ms(len(group.members), partitions)

    def members(self) -> int:
        """How many members this broker has, as of a moment ago."""
        now_ms = self.timers.monotonic_ms()
        if now_ms > self._counted_until_ms:
            self._members = self._count_members()
            self._counted_until_ms = now_ms + COUNT_EVERY_MS
        return self._members

    # Topics.

    def topics_changed(self, names: Iterable[str]) -> None:
        """These topics came or went."""
        for name in names:
            self.topics_version += 1
            self._changed.append((self.topics_version, name))

    def changed_since(self, version: int) -> set[str] | None:
        """Names of topics that came or went since; None: too many, look at all."""
        if version < 0 or self.topics_version - version > len(self._changed):
            return None
        return {name for at, name in self._changed if at > version}

    def metadata_hash(self, names: Iterable[str]) -> int:
        """A number for the topics that there are of `names`: ids, names, numbers of partitions.

        0 for none. Not Kafka's hash: groups that Kafka wrote are rebalanced once.
        """
        topics = self.topics
        found = blake2b(digest_size=8)
        any_found = False
        for name in sorted(names):
            topic_id = topics.topic_id(name)
            if topic_id is not None:
                any_found = True
                found.update(topic_id)
                found.update(b"%d %s\0" % (topics.partition_count(name), name.encode()))
        return int.from_bytes(found.digest(), "big", signed=True) if any_found else 0
