"""Random lives of one classic group: clients that come, go, die, repeat themselves, miss answers.

Every step is one thing a client, the log, the clock or an election may do; after every step the
invariants are checked on what clients were told, what the log holds and what the coordinator holds:

- A member's generation never goes back, by what it was told.
- In one generation all assignments that members were told are of one SyncGroup of one leader, and
  a member is told the same however often it asks, also after a reload. A leader gives no partition
  to two members: so none has two owners in one generation.
- The log tells one story: generations grow, and a generation is assigned once.
- The group's offset and what is pending for it are what a model makes of the records written; after
  a reload, of all records of the log. Commits are acknowledged in their order, and an acknowledged
  one is in the log.
- A stable group has an assignment for every member; whoever does not wait has a session; a group
  has a leader exactly while it has members; a resigned shard leaves no timer and no request.
- Once mishaps end, everyone alive is a member of one stable generation and knows it.
"""
from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.group.classic.state import State
from fastbroker.group.shard import Shard
from fastbroker.model import Deferred, TopicPartition
from fastbroker.protocol.group_records import GroupMetadataValue
from fastbroker.protocol.record_frames import decode_value
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker
from tests.group.bench import Bench, InTransaction, Log, batch_of
from tests.sim.schedules import Broken

STEPS = 26
CLIENTS_MAX = 5
SETTLING_TURNS = 60
LOST = 0.1  # of all answers
AT = TopicPartition("orders", 0)
PRODUCERS = (7, 8)
GROUP_RECORD, OFFSET_RECORD = b"\0\2", b"\0\1"  # how their keys begin
MEMBER_ID_REQUIRED = 79
FORGET, REJOIN, GIVE_UP = {25}, {22, 27, 14, 15, 16}, {82, 81, 23}


class MergedLog(Log):
    """A log that is read back in few batches: plain records that follow each other are one."""

    def batches(self, partition: int) -> list[bytes]:
        out: list[bytes] = []
        plain: list[Any] = []
        items = self.partitions.get(partition, [])
        for offset, item in enumerate(items):
            if isinstance(item, (InTransaction, EndTransactionMarker)):
                if plain:
                    out.append(bytes(build_batch(plain, base_offset=offset - len(plain))))
                    plain = []
                out.append(bytes(batch_of(item, offset)))
            else:
                plain.append((*item, (), 0))
        if plain:
            out.append(bytes(build_batch(plain, base_offset=len(items) - len(plain))))
        return out


@cache
def config() -> BrokerConfig:
    return BrokerConfig({"offsets.topic.num.partitions": "1"})


@dataclass(eq=False, slots=True)
class Client:
    """A member as it sees itself."""

    instance: str | None
    session_ms: int
    rebalance_ms: int
    member_id: str = ""
    generation: int = -1
    leads: bool = False
    told: tuple[str, ...] = ()  # the members, for a leader
    joined: bool = False  # and not synced yet
    busy: bool = False  # waits for an answer


class Offset:
    """What the records of the log make of the group's one offset: the later record counts."""

    def __init__(self) -> None:
        self.position = self.committed = -1
        self.pending: dict[int, tuple[int, int]] = {}  # position and offset by producer
        self._next = 0

    def take(self, items: Iterable[Any]) -> None:
        for item in items:
            self._next += 1
            if isinstance(item, EndTransactionMarker):
                position, offset = self.pending.pop(item.producer_id, (-1, -1))
                if item.commit and position > self.position:
                    self.position, self.committed = position, offset
            elif item[0][:2] == OFFSET_RECORD:
                offset = int.from_bytes(item[1][2:10], "big")
                if isinstance(item, InTransaction):
                    self.pending[item.producer.id] = self._next, offset
                else:
                    self.position, self.committed = self._next, offset


class Simulation:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.chance = self.random.random
        self.log = MergedLog()
        self.bench = Bench(log=self.log, config=config())
        self.log.instant = False
        self.epoch = 1
        self.clients: list[Client] = []
        self.unanswered: set[Deferred[Any]] = set()
        self.assigned: dict[tuple[str, int], bytes] = {}  # what a member was told, ever
        self.sync_of: dict[int, bytes] = {}  # the SyncGroup that assigned a generation
        self.highest: dict[str, int] = {}  # generation a member was told last
        self.in_log: dict[str, bytes] = {}  # assignments of the last group record
        self.log_generation = 0
        self.offset = self.acknowledged = 0
        self.model = Offset()
        self.acknowledgements: list[int] = []
        self.nonce = 0

    def run(self) -> None:
        chance, steps = self.chance, self.STEPS
        for _ in range(STEPS):
            steps[int(chance() * len(steps))](self)
            self.check_state()
        self.settle()

    # What clients do.

    def start(self) -> None:
        if len(self.clients) < CLIENTS_MAX:
            instance = f"i{int(self.chance() * 3)}" if self.chance() < 0.3 else None
            session_ms = 6_000 if self.chance() < 0.5 else 20_000
            rebalance_ms = 2_000 if self.chance() < 0.5 else 8_000
            client = Client(instance, session_ms, rebalance_ms)
            self.clients.append(client)
            self.join(client)

    def any_client(self) -> Client | None:
        return self.clients[int(self.chance() * len(self.clients))] if self.clients else None

    def join(self, client: Client | None = None) -> None:
        client = client or self.any_client()
        if client is None or (client.busy and self.chance() < 0.9):
            return
        versions = (5, 9) if client.instance else (3, 5, 9)
        answer = self.bench.join(
            client.member_id,
            instance=client.instance,
            session=client.session_ms,
            rebalance=client.rebalance_ms,
            version=versions[int(self.chance() * len(versions))],
        )
        client.busy, client.joined = isinstance(answer, Deferred), False
        self.expect(answer, partial(self.on_joined, client), busy=client)

    def on_joined(self, client: Client, answer: Any) -> None:
        client.joined = False
        if answer.error_code == MEMBER_ID_REQUIRED:
            client.member_id = answer.member_id
            self.join(client)
        elif answer.error_code:
            self.refused(client, answer.error_code)
        else:
            client.member_id = answer.member_id
            last = self.highest.get(client.member_id, 0)
            if answer.generation_id < last:
                raise Broken(f"{client} went back from generation {last}")
            client.generation = answer.generation_id
            client.leads = answer.leader == answer.member_id and not answer.skip_assignment
            client.told = tuple(m.member_id for m in answer.members)
            client.joined = True

    def sync(self, client: Client | None = None, generation: int | None = None) -> None:
        if client is None:
            client = self.any_client()
        if client is None or not client.member_id or not (client.joined or generation):
            return
        parts = None
        if client.leads:
            self.nonce += 1
            head = f"{client.generation}/{self.nonce}/".encode()
            parts = {one: head + one.encode() for one in client.told}
        asked = client.generation if generation is None else generation
        answer = self.bench.sync(client.member_id, asked, parts, instance=client.instance)
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
        told = answer.assignment
        if self.assigned.setdefault((member_id, generation), told) != told:
            raise Broken(f"two assignments for {member_id} in {generation}")
        of, nonce, whose = told.split(b"/", 2) if told.count(b"/") >= 2 else (b"", b"", b"")
        if int(of or -1) != generation or not self.is_of(whose.decode(), client, member_id):
            raise Broken(f"{member_id} got {told!r} in {generation}")
        if self.sync_of.setdefault(generation, nonce) != nonce:
            raise Broken(f"members of {generation} were told of two assignments")
        if generation > self.highest.get(member_id, 0):
            self.highest[member_id] = generation
        if self.chance() > LOST and member_id == client.member_id:
            client.joined = False

    def is_of(self, whose: str, client: Client, member_id: str) -> bool:
        """Whether an assignment is the member's; a static one inherits its predecessor's."""
        heir = client.instance is not None and whose.rpartition("-")[0] == client.instance
        return whose == member_id or heir

    def refused(self, client: Client, code: int) -> None:
        client.joined = False
        if code in FORGET:
            client.member_id, client.generation = "", -1
        elif code in GIVE_UP:
            if client in self.clients:
                self.clients.remove(client)
        elif code not in REJOIN:
            raise Broken(f"{client} was told {code}")

    def heartbeat(self) -> None:
        client = self.any_client()
        if client is not None and client.member_id and not client.busy:
            code = self.bench.heartbeat(client.member_id, client.generation, client.instance)
            if code:
                self.refused(client, code)

    def leave(self) -> None:
        client = self.any_client()
        if client is not None and client.member_id:
            removed_by_admin = client.instance is not None and self.chance() < 0.5
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
            {AT: self.offset},
            member_id=client.member_id,
            generation=client.generation,
            instance=client.instance,
        )
        self.expect(answer, partial(self.on_committed, self.offset), sure=True)

    def on_committed(self, offset: int, answer: Any) -> None:
        if not answer.topics[0].partitions[0].error_code:
            if offset <= self.acknowledged:
                raise Broken("commits are not acknowledged in their order")
            self.acknowledged = offset
            self.acknowledgements.append(offset)

    def commit_in_transaction(self) -> None:
        self.offset += 1
        answer = self.bench.commit_in_transaction({AT: self.offset}, producer_id=self.producer())
        self.expect(answer, partial(self.on_put, self.offset), sure=True)

    def on_put(self, offset: int, codes: list[int]) -> None:
        if not codes[0]:
            self.acknowledgements.append(offset)

    def end_transaction(self) -> None:
        answer = self.bench.end(commit=self.chance() < 0.6, producer_id=self.producer())
        if answer is not None:
            self.unanswered.add(answer)
            answer.then(self.unanswered.discard)

    def producer(self) -> int:
        return PRODUCERS[self.chance() < 0.5]

    def expect(
        self, answer: Any, then: Any, *, sure: bool = False, busy: Client | None = None
    ) -> None:
        """Hand an answer to `then`, now or later; some are lost unless `sure`."""
        lost = not sure and self.chance() < LOST
        if not isinstance(answer, Deferred):
            if not lost:
                then(answer)
            return

        def arrived(one: Deferred[Any]) -> None:
            self.unanswered.discard(one)
            if busy is not None:
                busy.busy = False
            if not lost:
                then(one.result())

        self.unanswered.add(answer)
        answer.then(arrived)

    # What the log, the clock and elections do.

    def write(self) -> None:
        if self.log.pending:
            records = self.log.pending[0].records
            self.take_in_log(records)
            self.model.take(records)
            self.log.complete(1)

    def write_all(self) -> None:
        while self.log.pending:
            self.write()

    def write_fails(self) -> None:
        if self.log.pending:
            if self.chance() < 0.5:  # it is in the log, though nobody knows
                self.saved(self.log.pending[0].records)
            self.log.fail(errors.RequestTimedOut())

    def saved(self, records: Any) -> None:
        self.take_in_log(records)
        self.log.partitions.setdefault(0, []).extend(records)

    def take_in_log(self, records: Any) -> None:
        """Check that the log tells one story: generations grow, assignments stay."""
        for item in records:
            if isinstance(item, EndTransactionMarker) or item[0][:2] != GROUP_RECORD:
                continue
            kept = decode_value(item[1], GroupMetadataValue)
            parts = {one.member_id: bytes(one.assignment) for one in kept.members}
            if kept.generation < self.log_generation:
                raise Broken("the log's generation went back")
            if kept.generation == self.log_generation:
                for one, part in parts.items():
                    if self.in_log.get(one, part) != part:
                        raise Broken(f"generation {kept.generation} was assigned twice")
            self.log_generation, self.in_log = kept.generation, parts

    def wait(self) -> None:
        self.bench.timers.advance((1, 20, 200, 1_000, 2_000)[int(self.chance() * 5)])

    def wait_long(self) -> None:
        self.bench.timers.advance((4_000, 6_000, 9_000)[int(self.chance() * 3)])

    def reload(self) -> None:
        """The partition moves, and comes back: of the writes on their way some are in the log."""
        saved = int(self.chance() * (len(self.log.pending) + 1))
        for write in self.log.pending[:saved]:
            self.saved(write.records)
        self.resign()
        self.model = Offset()
        items = self.log.partitions.get(0, [])
        self.model.take(items)
        self.log.open = {(0, producer) for producer in self.model.pending}
        self.epoch += 1
        self.bench.coordinator.elected(0, self.epoch, self.log.batches(0))
        kept = {int.from_bytes(i[1][2:10], "big") for i in items if _keeps_offset(i)}
        if not kept.issuperset(self.acknowledgements):
            raise Broken("an acknowledged offset is not in the log")

    def resign(self) -> None:
        self.bench.coordinator.resigned(0)
        if self.bench.timers.waiting:
            raise Broken("a timer outlives its shard")
        while self.log.pending:
            self.log.fail(errors.NotLeaderOrFollower())
        if self.unanswered:
            raise Broken("a request was left waiting")

    # Invariants.

    @property
    def shard(self) -> Shard:
        return self.bench.coordinator.shards.at(0)

    def check_state(self) -> None:
        shard = self.shard
        committed = shard.offsets.of("g").get(AT)
        if (-1 if committed is None else committed.offset) != self.model.committed:
            raise Broken(f"{self.model.committed} is committed, {committed} is told")
        if bool(shard.pending.of("g")) != bool(self.model.pending):
            raise Broken(f"{self.model.pending} is pending, {shard.pending.of('g')} is told")
        group = shard.groups.get("g")
        if group is None:
            return
        roster, state = group.roster, group.state
        joining = 0
        prefix = f"{group.generation_id}/".encode() if state is State.STABLE else b""
        for member in roster:
            joining += member.awaiting_join is not None
            if not member.waits and member.session is None:
                raise Broken(f"{member} lives for ever")
            if not member.assignment.startswith(prefix):
                raise Broken(f"{member} has no assignment")
        if roster.joining != joining:
            raise Broken("who waits is miscounted")
        if (roster.leader is None) != (not len(roster)):
            raise Broken("a group has a leader iff it has members")
        if not roster.members.keys() >= set(roster.static.values()):
            raise Broken("a static id of nobody")
        if state is State.EMPTY and len(roster):
            raise Broken("an empty group has members")

    def settle(self) -> None:
        """Without further mishaps everyone alive gets an assignment of one generation."""
        for _ in range(SETTLING_TURNS):
            for client in list(self.clients):
                if client in self.clients and not client.busy:
                    self.go_on(client)
            self.write_all()
            self.bench.timers.advance(1_000)
            self.check_state()
            if self.settled():
                break
        else:
            group = self.shard.groups.get("g")
            raise Broken(f"{group and group.roster.members} and {self.clients} do not settle")
        self.resign()

    def settled(self) -> bool:
        """Whether the members are those alive, all know it, and nobody waits."""
        if self.unanswered:
            return False
        group = self.shard.groups.get("g")
        members = set() if group is None else set(group.roster.members)
        return (
            members == {client.member_id for client in self.clients}
            and (group is None or group.state in (State.STABLE, State.EMPTY))
            and all(
                not client.joined and group is not None and client.generation == group.generation_id
                for client in self.clients
            )
        )

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

    def calm(self) -> None:
        """Everyone does what comes next, and nothing goes wrong meanwhile."""
        for client in list(self.clients):
            if not client.busy:
                self.go_on(client)
        self.write_all()
        self.bench.timers.advance(200)

    # Twice or more: so much more often.
    STEPS = (
        *[start] * 4, *[join] * 3, *[sync] * 4, *[heartbeat] * 2, leave, die, *[commit] * 3,
        *[commit_in_transaction] * 2, *[end_transaction] * 2, *[write] * 5, *[write_all] * 4,
        write_fails, *[wait] * 4, wait_long, reload, stale_sync, *[calm] * 8,
    )  # fmt: skip


def _keeps_offset(item: Any) -> bool:
    return not isinstance(item, EndTransactionMarker) and item[0][:2] == OFFSET_RECORD
