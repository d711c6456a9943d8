"""Random lives of one group: clients that come, go, die, repeat themselves and miss answers.

A schedule is a seed. Every step is one thing a client, the log, the clock or an election may do;
after every step the invariants of fastbroker.group are checked on what clients were told, what
the log holds and what the coordinator thinks.
"""
from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastbroker import errors
from fastbroker.group.classic.state import State
from fastbroker.model import Deferred
from fastbroker.protocol.group_records import GroupMetadataKey, GroupMetadataValue
from fastbroker.protocol.record_frames import decode_key, decode_value
from fastbroker.records.builder import build_batch
from tests.group.bench import Bench, Log

STEPS = 60
LOST = 0.1  # of all answers
GROUP_KEY = {2: GroupMetadataKey}
FORGET, REJOIN, GIVE_UP = {25}, {22, 27, 14, 15, 16}, {82, 81, 23}


class OneBatchLog(Log):
    """A log that is read back as one batch, and that shows every record it takes."""

    def batches(self, partition: int) -> list[bytes]:
        records = self.partitions.get(partition)
        return [build_batch([(k, v, (), 0) for k, v in records])] if records else []


@dataclass(eq=False)
class Client:
    """A member as it sees itself."""

    name: int
    instance: str | None
    session_ms: int
    rebalance_ms: int
    member_id: str = ""
    generation: int = -1
    leads: bool = False
    told: tuple[str, ...] = ()  # the members, for a leader
    joined: bool = False  # and not synced yet
    busy: bool = False  # waits for an answer


class Broken(AssertionError):
    """An invariant that does not hold."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


class Simulation:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.log = OneBatchLog()
        self.bench = Bench(log=self.log, offsets_topic_num_partitions=1)
        self.log.instant = False
        self.epoch = 1
        self.clients: list[Client] = []
        self.unanswered: set[Deferred[Any]] = set()
        self.assigned: dict[tuple[str, int], bytes] = {}  # what a member was told, ever
        self.highest: dict[str, int] = {}  # generation a member was told last
        self.in_log: dict[str, bytes] = {}  # assignments of the last group record
        self.log_generation = 0
        self.offset = self.acknowledged = 0
        self.nonce = 0
        self.steps = [
            self.start, self.join, self.join, self.sync, self.sync, self.heartbeat, self.leave,
            self.die, self.commit, self.write, self.write, self.write_fails, self.wait,
            self.wait_long, self.reload, self.stale_sync,
        ]  # fmt: skip
        self.weights = [3, 5, 5, 6, 6, 3, 1, 1, 3, 8, 8, 1, 6, 1, 1, 1]

    def run(self) -> None:
        for _ in range(STEPS):
            (step,) = self.random.choices(self.steps, self.weights)
            step()
            self.check_state()
        self.settle()

    # What clients do.

    def start(self) -> None:
        if len(self.clients) < 5:
            name = len(self.clients) if self.random.random() < 0.5 else self.random.randrange(100)
            instance = f"i{self.random.randrange(3)}" if self.random.random() < 0.3 else None
            session_ms = self.random.choice([6_000, 20_000])
            rebalance_ms = self.random.choice([2_000, 8_000])
            self.clients.append(Client(name, instance, session_ms, rebalance_ms))

    def any_client(self) -> Client | None:
        return self.random.choice(self.clients) if self.clients else None

    def join(self, client: Client | None = None) -> None:
        client = client or self.any_client()
        if client is None or (client.busy and self.random.random() < 0.9):
            return
        answer = self.bench.join(
            client.member_id,
            instance=client.instance,
            session=client.session_ms,
            rebalance=client.rebalance_ms,
            version=self.random.choice([5, 9] if client.instance else [3, 5, 9]),
        )
        self.expect(answer, partial(self.on_joined, client))
        client.busy = isinstance(answer, Deferred)

    def on_joined(self, client: Client, answer: Any) -> None:
        client.joined = False
        if answer.error_code == 79:
            client.member_id = answer.member_id
            self.join(client)
        elif answer.error_code:
            self.refused(client, answer.error_code)
        else:
            client.member_id = answer.member_id
            last = self.highest.get(client.member_id, 0)
            check(answer.generation_id >= last, f"{client} went back from {last}")
            client.generation = answer.generation_id
            client.leads = answer.leader == answer.member_id and not answer.skip_assignment
            client.told = tuple(m.member_id for m in answer.members)
            client.joined = True

    def sync(self, client: Client | None = None, generation: int | None = None) -> None:
        if client is None:
            client = self.any_client()
        if client is None or not client.member_id or not (client.joined or generation):
            return
        self.nonce += 1
        parts = {
            one: f"{client.generation}/{self.nonce}/{one}".encode() for one in client.told
        }
        asked = client.generation if generation is None else generation
        answer = self.bench.sync(
            client.member_id,
            asked,
            parts if client.leads else None,
            instance=client.instance,
        )
        self.expect(answer, partial(self.on_synced, client, client.member_id, asked), sure=True)

    def stale_sync(self) -> None:
        client = self.any_client()
        if client is not None and client.generation > 1:
            self.sync(client, client.generation - 1)

    def on_synced(self, client: Client, member_id: str, generation: int, answer: Any) -> None:
        if answer.error_code:
            if member_id == client.member_id:
                self.refused(client, answer.error_code)
            return
        first = self.assigned.setdefault((member_id, generation), answer.assignment)
        check(first == answer.assignment, f"two assignments for {member_id} in {generation}")
        check(
            answer.assignment.startswith(f"{generation}/".encode()),
            f"{member_id} got {answer.assignment!r} in {generation}",
        )
        self.highest[member_id] = max(generation, self.highest.get(member_id, 0))
        if self.random.random() > LOST and member_id == client.member_id:
            client.joined = False

    def refused(self, client: Client, code: int) -> None:
        client.joined = False
        if code in FORGET:
            client.member_id, client.generation = "", -1
        elif code in GIVE_UP and client in self.clients:
            self.clients.remove(client)
        else:
            check(code in REJOIN | FORGET | GIVE_UP, f"{client} was told {code}")

    def heartbeat(self) -> None:
        client = self.any_client()
        if client is not None and client.member_id and not client.busy:
            code = self.bench.heartbeat(client.member_id, client.generation, client.instance)
            if code:
                self.refused(client, code)

    def leave(self) -> None:
        client = self.any_client()
        if client is not None and client.member_id:
            removed_by_admin = client.instance is not None and self.random.random() < 0.5
            self.bench.leave(("" if removed_by_admin else client.member_id, client.instance))
            self.clients.remove(client)

    def die(self) -> None:
        client = self.any_client()
        if client is not None:
            self.clients.remove(client)

    def commit(self) -> None:
        client = self.any_client()
        if client is None or not client.member_id:
            return
        self.offset += 1
        answer = self.bench.commit(
            {("orders", 0): self.offset},
            member_id=client.member_id,
            generation=client.generation,
            instance=client.instance,
        )
        self.expect(answer, partial(self.on_committed, self.offset), sure=True)

    def on_committed(self, offset: int, answer: Any) -> None:
        if not answer.topics[0].partitions[0].error_code:
            check(offset > self.acknowledged, "commits are acknowledged in their order")
            self.acknowledged = offset

    def expect(self, answer: Any, then: Any, *, sure: bool = False) -> None:
        """Hand an answer to `then`, now or later; some are lost unless `sure`."""
        lost = not sure and self.random.random() < LOST

        def arrived(one: Deferred[Any]) -> None:
            self.unanswered.discard(one)
            if getattr(then, "func", None) == self.on_joined:
                then.args[0].busy = False
            if not lost:
                then(one.result())

        if isinstance(answer, Deferred):
            self.unanswered.add(answer)
            answer.then(arrived)
        elif not lost:
            then(answer)

    # What the log, the clock and elections do.

    def write(self) -> None:
        if self.log.pending:
            self.take_in_log(self.log.pending[0].records)
            self.log.complete(1)

    def write_fails(self) -> None:
        if self.log.pending:
            if self.random.random() < 0.5:  # it is in the log, though nobody knows
                records = self.log.pending[0].records
                self.take_in_log(records)
                self.log.partitions.setdefault(0, []).extend(records)
            self.log.fail(errors.RequestTimedOut())

    def take_in_log(self, records: Any) -> None:
        """Check that the log tells one story: generations grow, assignments stay."""
        for key, value in records:
            if decode_key(key, GROUP_KEY) is None or value is None:
                continue
            kept = decode_value(value, GroupMetadataValue)
            parts = {one.member_id: bytes(one.assignment) for one in kept.members}
            check(kept.generation >= self.log_generation, "the log's generation went back")
            if kept.generation == self.log_generation:
                same = all(self.in_log.get(one, part) == part for one, part in parts.items())
                check(same, f"generation {kept.generation} was assigned twice")
            self.log_generation, self.in_log = kept.generation, parts

    def wait(self) -> None:
        self.bench.timers.advance(self.random.choice([1, 20, 200, 1_000, 2_000]))

    def wait_long(self) -> None:
        self.bench.timers.advance(self.random.choice([4_000, 6_000, 9_000]))

    def reload(self) -> None:
        """The partition moves, and comes back: of the writes on their way some are in the log."""
        saved = self.random.randint(0, len(self.log.pending))
        for write in self.log.pending[:saved]:
            self.take_in_log(write.records)
            self.log.partitions.setdefault(0, []).extend(write.records)
        self.bench.coordinator.resigned(0)
        check(not self.bench.timers.waiting, "a timer outlives its shard")
        while self.log.pending:
            self.log.fail(errors.NotLeaderOrFollower())
        check(not self.unanswered, "a request was left waiting")
        self.epoch += 1
        self.bench.coordinator.elected(0, self.epoch, self.log.batches(0))
        self.check_offset()

    # Invariants.

    def check_offset(self) -> None:
        committed = self.bench.committed().get(("orders", 0), 0)
        check(committed >= self.acknowledged, f"{self.acknowledged} acknowledged, {committed} kept")

    def check_state(self) -> None:
        self.check_offset()
        group = self.bench.coordinator.shards.of("g").groups.get("g")
        if group is None:
            return
        roster = group.roster
        joining = sum(member.awaiting_join is not None for member in roster)
        check(roster.joining == joining, "who waits is miscounted")
        check((roster.leader is None) == (not len(roster)), "a group has a leader iff members")
        check(set(roster.static.values()) <= set(roster.members), "a static id of nobody")
        check((group.state is State.EMPTY) <= (not len(roster)), "an empty group has members")
        for member in roster:
            check(member.waits or member.session is not None, f"{member} lives for ever")
            if group.state is State.STABLE:
                prefix = f"{group.generation_id}/".encode()
                check(member.assignment.startswith(prefix), f"{member} has no assignment")

    def settle(self) -> None:
        """Without further mishaps everyone alive gets an assignment of one generation."""
        for _ in range(60):
            for client in list(self.clients):
                if client in self.clients and not client.busy:
                    self.go_on(client)
            self.log.complete()
            self.bench.timers.advance(1_000)
            self.check_state()
            if self.settled():
                break
        group = self.bench.coordinator.shards.of("g").groups.get("g")
        check(self.settled(), f"{group and group.roster.members} and {self.clients}")
        self.bench.coordinator.resigned(0)
        check(not self.bench.timers.waiting, "a timer outlives its shard")

    def settled(self) -> bool:
        """Whether the members are those alive, all know it, and nobody waits."""
        group = self.bench.coordinator.shards.of("g").groups.get("g")
        members = set() if group is None else set(group.roster.members)
        return (
            not self.unanswered
            and members == {client.member_id for client in self.clients}
            and (group is None or group.state in (State.STABLE, State.EMPTY))
            and all(self.knows(client) for client in self.clients)
        )

    def knows(self, client: Client) -> bool:
        group = self.bench.group()
        return not client.joined and client.generation == group.generation_id

    def go_on(self, client: Client) -> None:
        if not client.member_id or client.generation < 0:
            self.join(client)
        elif client.joined:
            self.sync(client)
        else:
            code = self.bench.heartbeat(client.member_id, client.generation, client.instance)
            if code:
                self.refused(client, code)
                if client in self.clients:
                    self.join(client)
