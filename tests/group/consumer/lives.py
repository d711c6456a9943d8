"""Random lives of one consumer group, of clients that do as they are told: both protocols, mixed.

A schedule is a seed. After every step the invariants of fastbroker.group.consumer are checked; at
the end everything that can go on goes on, and the group has to become stable.
"""
from __future__ import annotations

import random
from typing import Any

from fastbroker import errors
from fastbroker.group.consumer import regex
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.model import Deferred
from tests.group.bench import Log
from tests.group.consumer.bench import Consumer, ConsumerBench, Partitions
from tests.group.consumer.classic_consumer import ClassicConsumer

STEPS = 80
LOST = 0.1  # of all answers
FENCED = {errors.FencedMemberEpoch.code, errors.UnknownMemberId.code,
          errors.GroupIdNotFound.code, errors.FencedInstanceId.code}  # fmt: skip


class Broken(AssertionError):
    """An invariant that does not hold."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


class Life:
    """A client, what it reads, and until when it may: its session ends it, whatever it thinks."""

    def __init__(self, client: Consumer | ClassicConsumer, session_ms: int) -> None:
        self.client, self.session_ms = client, session_ms
        self.alive_ms = 0.0
        self.busy: Deferred[Any] | None = None
        self.syncs = False


class Simulation:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.bench = ConsumerBench(
            partitions=4, offsets_topic_num_partitions=1, log=Log(), group_max_size=50
        )
        self.bench.log.instant = False
        self.lives: list[Life] = []
        self.made = 0
        self.epoch = 1
        self.highest = 0
        self.steps = [
            self.start, self.start_classic, self.act, self.act, self.act, self.act, self.leave,
            self.die, self.write, self.write, self.write, self.write_fails, self.wait,
            self.change_topics, self.reload,
        ]  # fmt: skip

    def run(self) -> None:
        for _ in range(STEPS):
            self.random.choice(self.steps)()
            self.check()
        self.settle()

    # What may happen.

    def start(self) -> None:
        if len(self.lives) >= 5:
            return
        self.made += 1
        chance = self.random.random()
        instance = f"i{self.random.randrange(2)}" if chance < 0.3 else None
        topics = self.random.choice([("orders",), ("orders", "clicks"), ("clicks",)])
        client = self.bench.consumer(
            f"m{self.made}", *topics, instance=instance, rebalance_timeout_ms=20_000,
            regex="o.*" if chance > 0.8 else None,
            assignor=self.random.choice([None, None, "range"]),
        )  # fmt: skip
        self.lives.append(Life(client, 45_000))

    def start_classic(self) -> None:
        if len(self.lives) < 5 and self.random.random() < 0.5:
            self.lives.append(Life(ClassicConsumer(self.bench, "orders"), 10_000))

    def act(self) -> None:
        """A client sends what it has to send next."""
        ready = [one for one in self.lives if one.busy is None]
        if ready:
            self._act(self.random.choice(ready), lost=self.random.random() < LOST)

    def _act(self, life: Life, *, lost: bool = False) -> None:
        client = life.client
        if isinstance(client, Consumer):
            before = (client.epoch, set(client.owned), client.assigned)
            answer = client.beat()
            self._await(life, answer)
            if lost and life.busy is None and client.epoch and before[0]:
                client.epoch, client.owned, client.assigned = before
        else:
            self._await(life, client.next())

    def _await(self, life: Life, answer: Any) -> None:
        if not isinstance(answer, Deferred):
            self._answered(life, answer)
            return
        life.busy = answer

        def done(one: Deferred[Any]) -> None:
            life.busy = None
            self._answered(life, one.result())

        answer.then(done)

    def _answered(self, life: Life, answer: Any) -> None:
        if not answer.error_code or answer.error_code == errors.RebalanceInProgress.code:
            life.alive_ms = self.bench.timers.at_ms
        if isinstance(life.client, ClassicConsumer):
            life.client.answered(answer)

    def leave(self) -> None:
        ready = [one for one in self.lives if one.busy is None]
        if ready and self.random.random() < 0.4:
            life = self.random.choice(ready)
            self.lives.remove(life)
            if isinstance(life.client, Consumer):
                away = life.client.instance is not None and self.random.random() < 0.5
                life.client.leave(for_a_while=away)
            elif life.client.member_id:
                self.bench.leave((life.client.member_id, None))

    def die(self) -> None:
        if self.lives and self.random.random() < 0.2:
            self.lives.remove(self.random.choice(self.lives))

    def write(self) -> None:
        if self.bench.log.pending:
            self.bench.log.complete(1)

    def write_fails(self) -> None:
        """The leader is lost for a moment: what is not written yet never will be."""
        if self.bench.log.pending and self.random.random() < 0.2:
            for _ in range(len(self.bench.log.pending)):
                self.bench.log.fail(errors.NotEnoughReplicas("one is missing"))

    def wait(self) -> None:
        self.bench.timers.advance(self.random.choice([5, 50, 300, 3_000, 12_000]))

    def change_topics(self) -> None:
        if self.random.random() < 0.3:
            self.bench.topics_change(orders=self.random.randrange(1, 7))
        elif self.random.random() < 0.2:
            there = "oak" in self.bench.topics
            self.bench.topics_change(oak=0 if there else 2)

    def reload(self) -> None:
        if self.random.random() < 0.2:
            self.bench.log.complete()
            before = self._kept()
            self.epoch += 1
            self.bench.reload(self.epoch)
            check(before is None or self._kept() == before, "a reload finds what was")

    # What has to hold.

    @property
    def group(self) -> ConsumerGroup | None:
        group = self.bench.coordinator.shards.of("g").groups.get("g")
        return group if isinstance(group, ConsumerGroup) else None

    def _kept(self) -> Any:
        group = self.group
        if group is None:
            return None
        return (
            group.epoch_kept, group.target_epoch_kept, group.resolved, group.owners,
            {m.member_id: (m.subscription, m.current, m.target) for m in group.members.values()},
        )  # fmt: skip

    def check(self) -> None:
        """One owner a partition: in what the coordinator thinks, and in what clients were told."""
        now_ms = self.bench.timers.at_ms
        owned: dict[tuple[str, int], Any] = {}
        for life in self.lives:
            if now_ms - life.alive_ms >= life.session_ms:
                continue  # it may think that it owns something, and is too late
            mine: Partitions = life.client.owned
            for one in mine:
                other = owned.setdefault(one, life.client)
                check(
                    other is life.client or self._fenced(life.client) or self._fenced(other),
                    f"{one} has two owners: {other.member_id} and {life.client.member_id}",
                )
        group = self.group
        if group is None:
            return
        check(group.target_epoch <= group.epoch, "a target of an epoch that was not")
        seen = set()
        for member in group.members.values():
            for part in (member.now.assigned, member.now.revoking):
                for topic, numbers in part.items():
                    for number in numbers:
                        check((topic, number) not in seen, "two members own a partition")
                        seen.add((topic, number))
                        check(
                            group.owners[topic][number] == member.member_id, "owners are wrong"
                        )
        check(len(seen) == sum(map(len, group.owners.values())), "an owner that is no member")
        for instance, member_id in group.static.items():
            check(group.members[member_id].said.instance_id == instance, "a stale instance id")

    def _fenced(self, client: Any) -> bool:
        """Whether the coordinator has given up on it, which it has not heard of yet."""
        group = self.bench.coordinator.shards.of("g").groups.get("g")
        if isinstance(group, ConsumerGroup):
            return client.member_id not in group.members
        return group is None or client.member_id not in group.roster.members

    def settle(self) -> None:
        """Nothing fails any more: all partitions that are read have an owner in the end."""
        log, bench = self.bench.log, self.bench
        log.complete()
        log.instant = True
        for _ in range(60):
            for life in self.lives:
                if life.busy is None:
                    self._act(life)
            bench.timers.advance(1_000)
            self.check()
        group = self.group
        if group is None or not group.members:
            return
        known = {life.client.member_id for life in self.lives}
        check(set(group.members) <= known, f"members that are gone: {set(group.members) - known}")
        check(str(group.state) == "Stable", f"it is {group.state} in the end")
        for one in group.regexes:
            found = group.resolved[one].topics
            check(found == regex.matching(one, bench.topics), f"{one} was taken for {found}")
        read = {
            (name, number)
            for name in group.topic_names()
            for number in range(bench.partition_count(name))
        }
        owned: Partitions = set()
        for life in self.lives:
            owned |= life.client.owned
        check(owned == read, f"not owned: {read - owned}, too much: {owned - read}")
