"""Random lives of a group of consumers that speak the new protocol, the classic one, or both.

Clients read what they were told to read, let go of it now or later, and lose answers; members
leave, die and come back; topics grow; writes fail; the coordinator moves. A group may change its
protocol several times in one schedule.

- No partition is read by two clients of which the group still believes both: a client takes a
  partition only after whoever read it has let go, or is no member any more.
- What a member in good standing reads is what the coordinator holds to be its own (or what it has
  to let go of); no two members own a partition.
- The epochs that a member is told never go back.
- A reload finds what was there, when everything was written: an answered assignment survives it.
- A commit is taken from members only, with an epoch that is theirs.
- Once mishaps end, the live clients and no others are members, at rest in one epoch, and every
  partition of what they subscribe to is read by one of them.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from fastbroker import errors
from fastbroker._c.codec import encode
from fastbroker.config.broker import BrokerConfig
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.consumer import embedded
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import Current
from fastbroker.group.shard import Shard
from fastbroker.model import Deferred
from fastbroker.protocol.consumer_protocol import ConsumerProtocolSubscription
from fastbroker.protocol.schema import plan
from tests.group.consumer.bench import ConsumerBench
from tests.group.simulation import MergedLog
from tests.sim.schedules import Broken

STEPS = 26
CLIENTS_MAX = 4
SETTLING_TURNS, TURN_MS = 40, 5_000
LOST = 0.1  # of all answers
TOPICS = {"orders": 3, "clicks": 2}
GROWN_MAX = 5
SESSION_MS, REBALANCE_MS = 20_000, 30_000  # of the classic ones; the others have 45 s
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS = 79, 27
UNKNOWN_MEMBER, FENCED_EPOCH, FENCED_INSTANCE, UNRELEASED = 25, 110, 82, 111
RETRIED = {14, 15, 16}
EVERYTHING = 1_000_000
NO_CONSUMERS = 69  # GROUP_ID_NOT_FOUND: it is a classic group now, or none

Partition = tuple[str, int]
Partitions = frozenset[Partition]
NOTHING: Partitions = frozenset()


class RefusingLog(MergedLog):
    """A log that may take nothing: `refuses` so many writes, each at once."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = 0

    def _write(self, partition: int, records: list[Any]) -> Deferred[None]:
        if self.refuses:
            self.refuses -= 1
            refused: Deferred[None] = Deferred()
            refused.fail(errors.NotLeaderOrFollower())
            return refused
        return super()._write(partition, records)


@cache
def config() -> BrokerConfig:
    return BrokerConfig({"offsets.topic.num.partitions": "1"})


class Client:
    """What both kinds have: it reads `reads`, and was told to read `told`."""

    def __init__(self, sim: Simulation, member_id: str, topics: tuple[str, ...]) -> None:
        self.sim, self.member_id, self.topics = sim, member_id, topics
        self.reads = self.told = NOTHING
        self.epoch = 0
        self.group: object = None  # that told it its epoch
        self.busy = self.gone = False

    def go_on(self) -> None:
        """What comes next."""
        raise NotImplementedError

    def leave(self) -> None:
        raise NotImplementedError

    def is_member(self, group: object) -> bool:
        """Whether the coordinator would take its next heartbeat."""
        raise NotImplementedError

    def lose(self) -> None:
        """It is no member: it reads nothing."""
        self.group = None
        self.reads = self.told = NOTHING
        self.epoch = 0

    def let_go(self) -> None:
        """Read what it was told: first let go of the rest, then take what is new."""
        self.reads &= self.told
        if self.told != self.reads:
            self.sim.taken(self, self.told - self.reads)
            self.reads = self.told

    def epoch_told(self, epoch: int) -> None:
        """A group that is made anew begins anew, as one may that changes its protocol."""
        group = self.sim.group
        is_same = self.group is group or not self.sim.classic_share
        last = self.sim.epochs.get(self.member_id, 0)
        if is_same and epoch < last:
            raise Broken(f"{self.member_id} is told {epoch} after {last}")
        self.group, self.epoch = group, epoch
        self.sim.epochs[self.member_id] = epoch


class NewClient(Client):
    """A member with the consumer protocol."""

    def __init__(
        self, sim: Simulation, member_id: str, topics: tuple[str, ...], instance: str | None
    ) -> None:
        super().__init__(sim, member_id, topics)
        self.instance = instance
        self.said: Partitions | None = None  # what it last said that it owns; None: say all
        self.sent: list[tuple[int, Partitions]] = []

    def go_on(self) -> None:
        if self.busy:
            return
        if self.reads != self.told:
            self.let_go()
        self.beat()

    def beat_late(self) -> None:
        """An old heartbeat arrives once more; its epoch is neither the last nor the one before."""
        member = getattr(self.sim.group, "members", {}).get(self.member_id)
        if not self.sent or member is None:
            return
        epoch, reads = self.sent[int(self.sim.chance() * len(self.sent))]
        if 0 < epoch < min(member.now.epoch, member.now.previous_epoch):
            self.sim.bench.heartbeat_as(
                self.member_id, epoch, instance_id=self.instance, owned=reads
            )

    def beat(self) -> None:
        """The next heartbeat."""
        if self.busy:
            return
        sim, joins = self.sim, self.epoch == 0
        said: dict[str, Any] = {}
        if joins or self.said is None:
            said = {"rebalance_timeout_ms": REBALANCE_MS, "subscribed_topic_names": [*self.topics]}
        if joins or self.said != self.reads:
            said["owned"] = self.reads
        reads, self.busy = self.reads, True
        self.sent.append((self.epoch, reads))
        answer = sim.bench.heartbeat_as(
            self.member_id, self.epoch, instance_id=self.instance, **said
        )
        sim.expect(answer, self, lambda told: self.answered(told, reads), self.unanswered)

    def unanswered(self) -> None:
        self.said = None

    def answered(self, told: Any, reads: Partitions) -> None:
        code = told.error_code
        if code == 0:
            self.epoch_told(told.member_epoch)
            self.said = reads
            assigned = self.sim.bench.told(told)
            if assigned is not None:
                self.told = frozenset(assigned)
                if self.sim.chance() < 0.5:
                    self.let_go()
            return
        self.said = None
        if code in (FENCED_EPOCH, UNKNOWN_MEMBER, NO_CONSUMERS):
            self.lose()
        elif code in (FENCED_INSTANCE, UNRELEASED):
            self.lose()
            self.sim.end(self)  # another one has its instance id
        elif code not in RETRIED:
            raise Broken(f"{self.member_id} was told {code}: {told.error_message}")

    def leave(self) -> None:
        for_a_while = self.instance is not None and self.sim.chance() < 0.7
        self.sim.bench.heartbeat_as(
            self.member_id, -2 if for_a_while else -1, instance_id=self.instance
        )
        self.lose()
        self.sim.end(self)

    def is_member(self, group: object) -> bool:
        member = group.members.get(self.member_id) if isinstance(group, ConsumerGroup) else None
        return (
            member is not None
            and not member.is_classic
            and self.epoch in (member.now.epoch, member.now.previous_epoch)
        )


class ClassicClient(Client):
    """A consumer with the classic protocol; eager ones read nothing while they rebalance."""

    def __init__(self, sim: Simulation, topics: tuple[str, ...]) -> None:
        super().__init__(sim, "", topics)
        self.parts: dict[str, bytes] | None = None  # what it dealt, as a leader
        self.leads = self.joined = False
        self.due = True  # it has to join
        self.seen: dict[str, int] = {}  # partitions of the topics, when it dealt them

    def go_on(self) -> None:
        if self.busy:
            return
        if self.joined:
            self.sync()
        elif self.due or (self.leads and self.seen != self.sim.counts()):
            self.join()
        else:
            self.beat()

    def lose(self) -> None:
        super().lose()
        self.due, self.joined = True, False

    def join(self) -> None:
        if not self.sim.cooperative:
            self.reads = self.told = NOTHING
        self.busy, self.joined = True, False
        value = ConsumerProtocolSubscription(
            topics=[*self.topics],
            owned_partitions=[
                ConsumerProtocolSubscription.TopicPartition(topic=topic, partitions=numbers)
                for topic, numbers in by_topic(self.reads).items()
            ],
            generation_id=self.epoch,
        )
        metadata = encode(plan(ConsumerProtocolSubscription, 2), value, b"\0\2")
        answer = self.sim.bench.join(
            self.member_id,
            protocols=(("p", metadata),),
            session=SESSION_MS,
            rebalance=REBALANCE_MS,
            version=9,
        )
        self.sim.expect(answer, self, self.on_joined, lambda: None)

    def on_joined(self, told: Any) -> None:
        if told.error_code == MEMBER_ID_REQUIRED:
            self.member_id = told.member_id
        elif told.error_code:
            self.refused(told.error_code)
        else:
            self.member_id = told.member_id
            self.epoch_told(told.generation_id)
            self.leads = told.leader == told.member_id
            self.joined, self.due, self.parts = True, False, None
            if self.leads:
                self.parts, self.seen = self.sim.dealt(told.members), self.sim.counts()

    def sync(self) -> None:
        self.busy = True
        answer = self.sim.bench.sync(
            self.member_id, self.epoch, self.parts, version=5, protocol=("consumer", "p")
        )
        self.sim.expect(answer, self, self.on_synced, lambda: None)

    def on_synced(self, told: Any) -> None:
        if told.error_code:
            self.refused(told.error_code)
            return
        self.joined = False
        assigned = embedded.assignment(bytes(told.assignment))
        assert assigned is not None
        self.told = frozenset((topic, n) for topic, numbers in assigned.items() for n in numbers)
        self.due = not self.reads <= self.told  # what it lets go of is for the next rebalance
        self.let_go()

    def beat(self) -> None:
        code = self.sim.bench.heartbeat(self.member_id, self.epoch)
        if code:
            self.refused(code)

    def refused(self, code: int) -> None:
        self.joined, self.due = False, True
        if code == UNKNOWN_MEMBER:
            self.lose()
            self.member_id = ""
        elif code == 22:
            self.lose()
        elif code == 23:
            self.lose()
            self.sim.end(self)
        elif code not in RETRIED | {REBALANCE_IN_PROGRESS}:
            raise Broken(f"{self.member_id} was told {code}")

    def leave(self) -> None:
        if self.member_id:
            self.sim.bench.leave((self.member_id, None))
        self.lose()
        self.sim.end(self)

    def is_member(self, group: object) -> bool:
        if isinstance(group, ConsumerGroup):
            member = group.members.get(self.member_id)
            return member is not None and member.is_classic and self.epoch == member.now.epoch
        return (
            isinstance(group, ClassicGroup)
            and self.member_id in group.roster.members
            and self.epoch == group.generation_id
        )


class Simulation:
    """One schedule."""

    classic_share = 0.0  # of the clients

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.chance = self.random.random
        self.cooperative = self.chance() < 0.5
        self.log = RefusingLog()
        self.bench = ConsumerBench(log=self.log, config=config())
        self.bench.partitions.update(TOPICS)
        self.log.instant = False
        self.leader_epoch = 1
        self.clients: list[Client] = []
        self.made = 0
        self.epochs: dict[str, int] = {}  # that a member was told last
        self.unanswered: set[int] = set()
        self.requests = 0
        self.offset = 0
        self.names = {topic_id: name for name, topic_id in self.bench.ids.items()}
        self.views: dict[str, tuple[Current | None, set[Partition]]] = {}

    def run(self) -> None:
        chance, steps = self.chance, self.STEPS
        self.start()
        for _ in range(STEPS):
            steps[int(chance() * len(steps))](self)
            self.check_state()
        self.settle()

    @property
    def shard(self) -> Shard:
        return self.bench.coordinator.shards.at(0)

    @property
    def group(self) -> Any:
        return self.shard.groups.get("g")

    # What clients do.

    def start(self) -> None:
        if len(self.clients) >= CLIENTS_MAX:
            return
        self.made += 1
        topics = ("orders",) if self.chance() < 0.6 else ("orders", "clicks")
        client: Client
        if self.chance() < self.classic_share:
            client = ClassicClient(self, topics)
        else:
            instance = f"i{int(self.chance() * 2)}" if self.chance() < 0.2 else None
            client = NewClient(self, f"m{self.made}", topics, instance)
        self.clients.append(client)
        client.go_on()

    def any_client(self) -> Client | None:
        return self.clients[int(self.chance() * len(self.clients))] if self.clients else None

    def go_on(self) -> None:
        client = self.any_client()
        if client is not None:
            client.go_on()

    def beat_again(self) -> None:
        """A heartbeat, though it has not let go yet."""
        client = self.any_client()
        if isinstance(client, NewClient):
            client.beat()

    def beat_late(self) -> None:
        client = self.any_client()
        if isinstance(client, NewClient):
            client.beat_late()

    def subscribe(self) -> None:
        client = self.any_client()
        if isinstance(client, NewClient):
            client.topics = ("clicks",) if self.chance() < 0.3 else ("orders", "clicks")
            client.said = None

    def leave(self) -> None:
        client = self.any_client()
        if client is not None:
            client.leave()

    def die(self) -> None:
        client = self.any_client()
        if client is not None:
            self.end(client)

    def end(self, client: Client) -> None:
        client.gone = True
        if client in self.clients:
            self.clients.remove(client)

    def commit(self) -> None:
        client = self.any_client()
        if client is None or not client.member_id or not client.epoch:
            return
        self.offset += 1
        epoch = client.epoch - (self.chance() < 0.3)
        group, at = self.group, ("orders", int(self.chance() * TOPICS["orders"]))
        answer = self.bench.commit(
            {at: self.offset}, member_id=client.member_id, generation=epoch, version=9
        )
        if isinstance(answer, Deferred) and isinstance(group, ConsumerGroup):
            member = group.members.get(client.member_id)
            topic = self.bench.topics[at[0]]
            if member is None or epoch > member.now.epoch:
                raise Broken(f"{client.member_id} commits with epoch {epoch}, {member} is there")
            owned = {**member.now.revoking.get(topic, {}), **member.now.assigned.get(topic, {})}
            if epoch < member.now.epoch and owned.get(at[1], epoch + 1) > epoch:
                raise Broken(f"{client.member_id} commits {at} with epoch {epoch}: {member.now}")

    def expect(
        self,
        answer: Any,
        client: Client,
        then: Callable[[Any], object],
        lost: Callable[[], object],
    ) -> None:
        """Hand an answer to `then`, now or later; some are `lost`."""
        is_lost = self.chance() < LOST
        self.requests += 1
        number = self.requests

        def arrived(told: Any) -> None:
            self.unanswered.discard(number)
            client.busy = False
            if client.gone:
                return
            if is_lost:
                lost()
            else:
                then(told)

        if isinstance(answer, Deferred):
            self.unanswered.add(number)
            answer.then(lambda done: arrived(done.result()))
        else:
            arrived(answer)

    def counts(self) -> dict[str, int]:
        return {topic: self.bench.partition_count(topic) for topic in TOPICS}

    def dealt(self, members: Any) -> dict[str, bytes]:
        """A classic leader's assignment: what others still own is nobody's this time."""
        said = {one.member_id: embedded.subscription(bytes(one.metadata)) for one in members}
        owned = {
            one: {(t.topic, n) for t in value.owned_partitions for n in t.partitions}
            if value is not None and value.generation_id >= self.newest(said) - 1
            else set()
            for one, value in said.items()
        }
        parts: dict[str, set[Partition]] = {one: set() for one in said}
        for topic in TOPICS:
            readers = sorted(one for one, value in said.items() if value and topic in value.topics)
            for number in range(self.bench.partition_count(topic)):
                if not readers:
                    continue
                wanted = readers[number % len(readers)]
                if not any((topic, number) in owned[one] for one in owned if one != wanted):
                    parts[wanted].add((topic, number))
        return {one: embedded.assignment_bytes(by_topic(part), 2) for one, part in parts.items()}

    @staticmethod
    def newest(said: dict[str, ConsumerProtocolSubscription | None]) -> int:
        return max((value.generation_id for value in said.values() if value), default=0)

    # What the log, the clock, topics and elections do.

    def write(self) -> None:
        if self.log.pending:
            self.log.complete(1)

    def write_all(self) -> None:
        while self.log.pending:
            self.log.complete(1)

    def refuse(self) -> None:
        """The next write fails at once."""
        self.log.refuses = 1

    def wait(self) -> None:
        self.bench.timers.advance((1, 20, 300, 1_000, 3_000)[int(self.chance() * 5)])

    def wait_long(self) -> None:
        self.bench.timers.advance((10_000, 31_000, 46_000)[int(self.chance() * 3)])

    def topic_grows(self) -> None:
        count = self.bench.partitions["orders"]
        if count < GROWN_MAX:
            self.bench.topics_change(orders=count + 1)

    def reload(self) -> None:
        """The partition moves, and comes back: of the writes on their way some are in the log."""
        before = snapshot(self.group) if not self.log.pending else None
        saved = int(self.chance() * (len(self.log.pending) + 1))
        for write in self.log.pending[:saved]:
            self.log.partitions.setdefault(0, []).extend(write.records)
        self.resign()
        self.leader_epoch += 1
        self.log.refuses = 0
        self.bench.coordinator.elected(0, self.leader_epoch, self.log.batches(0))
        if before is not None and snapshot(self.group) != before:
            raise Broken(f"{before} was there, a reload finds {snapshot(self.group)}")

    def resign(self) -> None:
        """Writes fail and the coordinator hears of it, in either order, at one moment."""
        self.log.refuses = EVERYTHING
        fails_first = self.chance() < 0.5
        if fails_first:
            self.fail_all()
        self.bench.coordinator.resigned(0)
        if self.bench.timers.waiting:
            raise Broken("a timer outlives its shard")
        self.fail_all()
        if self.unanswered:
            raise Broken("a request was left waiting")

    def fail_all(self) -> None:
        while self.log.pending:
            self.log.fail(errors.NotLeaderOrFollower())

    # Invariants.

    def taken(self, client: Client, partitions: Partitions) -> None:
        """`client` begins to read these."""
        group = self.group
        if not client.is_member(group):
            return  # it has not heard yet that it is none
        for other in self.clients:
            both = other.reads & partitions
            if other is not client and both and other.is_member(group):
                raise Broken(
                    f"{client.member_id} (epoch {client.epoch}) takes {sorted(both)}, which"
                    f" {other.member_id} (epoch {other.epoch}) reads"
                )

    def check_state(self) -> None:
        group = self.group
        if not isinstance(group, ConsumerGroup):
            return
        changed = False
        for member_id, member in group.members.items():
            if member.session is None and member.subscription is not None and not group.dead:
                raise Broken(f"{member_id} lives for ever")
            seen = self.views.get(member_id)
            if seen is None or seen[0] is not member.current:
                changed = True
                self.views[member_id] = member.current, self.view(member.now)
        if changed:
            owner: dict[Partition, str] = {}
            for member_id in group.members:
                for at in self.views[member_id][1]:
                    if owner.setdefault(at, member_id) != member_id:
                        raise Broken(f"{at} belongs to {owner[at]} and {member_id}")
        for client in self.clients:
            if client.reads and client.is_member(group):
                extra = client.reads - self.views[client.member_id][1]
                if extra:
                    raise Broken(
                        f"{client.member_id} reads {sorted(extra)}, which is not its own:"
                        f" {group.members[client.member_id].now}"
                    )

    def view(self, now: Current) -> set[Partition]:
        """What belongs to a member, as the coordinator holds it."""
        names = self.names
        return {
            (names[topic_id], number)
            for owned in (now.assigned, now.revoking)
            for topic_id, numbers in owned.items()
            for number in numbers
        }

    def settle(self) -> None:
        """Without further mishaps everyone alive is a member at rest, and everything is read."""
        self.log.refuses = 0
        for _ in range(SETTLING_TURNS):
            for _ in range(3):
                for client in list(self.clients):
                    client.go_on()
                self.write_all()
                self.bench.timers.advance(100)
                self.write_all()
            self.check_state()
            if self.settled():
                break
            self.bench.timers.advance(TURN_MS)
        else:
            group = self.group
            members = getattr(group, "members", None) or getattr(group, "roster", None)
            raise Broken(
                f"{[(c.member_id, c.epoch, c.reads, c.told) for c in self.clients]} do not settle:"
                f" {group and group.state}, {members and [vars_of(m) for m in members]}"
            )
        self.resign()

    def settled(self) -> bool:
        if self.unanswered or self.log.pending:
            return False
        group = self.group
        live = {client.member_id for client in self.clients}
        if group is None:
            return not live
        if isinstance(group, ConsumerGroup):
            if group.members.keys() != live or group.state not in ("Stable", "Empty"):
                return False
            if any(client.epoch != group.epoch for client in self.clients):
                return False
        else:
            if set(group.roster.members) != live or group.state not in (State.STABLE, State.EMPTY):
                return False
            if any(client.epoch != group.generation_id for client in self.clients):
                return False
        if any(client.reads != client.told or client.busy for client in self.clients):
            return False
        return self.everything_is_read()

    def everything_is_read(self) -> bool:
        wanted = {
            (topic, number)
            for client in self.clients
            for topic in client.topics
            for number in range(self.bench.partition_count(topic))
        }
        read = [at for client in self.clients for at in client.reads]
        if len(read) != len(set(read)):
            raise Broken(f"{sorted(read)} are read by members at rest")
        return wanted == set(read)

    def calm(self) -> None:
        """Everyone does what comes next, and nothing goes wrong meanwhile."""
        for client in list(self.clients):
            client.go_on()
        self.write_all()
        self.bench.timers.advance(50)

    # Twice or more: so much more often.
    STEPS = (
        *[start] * 6, *[go_on] * 12, *[beat_again] * 3, *[beat_late] * 2, subscribe, leave, die,
        *[commit] * 2, *[write] * 5, *[write_all] * 6, *[refuse] * 2, *[wait] * 4, wait_long,
        topic_grows, reload, *[calm] * 10,
    )  # fmt: skip


class MixedSimulation(Simulation):
    """Half of the clients speak the classic protocol."""

    classic_share = 0.5


def snapshot(group: Any) -> Any:
    """What a reload has to find."""
    if isinstance(group, ConsumerGroup):
        members = {
            one.member_id: (one.subscription, one.target, one.current)
            for one in group.members.values()
        }
        return group.epoch_kept, group.target_epoch_kept, members
    if isinstance(group, ClassicGroup) and group.state is State.STABLE:
        assignments = {one.member_id: one.assignment for one in group.roster}
        return group.generation_id, group.roster.leader, assignments
    return None


def by_topic(partitions: Any) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        out.setdefault(topic, []).append(number)
    return out


def vars_of(member: Any) -> Any:
    return getattr(member, "member_id", member)
