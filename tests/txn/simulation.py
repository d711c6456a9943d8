"""Random lives of transactional ids: producers, brokers, a log, elections, time; all of it fails.

The partitions that hold records are models of real ones: they check producer epochs and coordinator
epochs of what they take (KIP-890), and a verification is void once a marker came in between.

- A transaction ends in exactly one of commit and abort: all its records, in all partitions, are
  under markers of one outcome; a marker is written for committed decisions only, into partitions of
  the decision, with its producer id, epoch and outcome; the id is complete when all are written.
- A producer that was told that its transaction is committed finds every record it was told of
  committed; likewise for aborts.
- A producer id and epoch are given to one producer only, and with TV2 to one transaction only.
- A producer that is fenced (a later one was told its epoch) never commits anything.
- An id's state in memory is its last record that was committed: a reload finds the same.
- Once time passes, no transaction is open beyond its timeout; once mishaps end, none is open, no
  partition holds open records, and no request waits.
"""
from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.model import Deferred, TopicPartition
from fastbroker.records.builder import build_batch
from fastbroker.txn.record import read_key, read_value, record
from fastbroker.txn.state import State
from fastbroker.txn.transaction import LAST_EPOCH, Transaction
from tests.group.bench import Log
from tests.sim.schedules import Broken
from tests.txn.bench import Bench, Brokers, Marker, Producer, Result, ResultTopic

STEPS = 32
NAMES = ("t", "u")
PARTITIONS = tuple(TopicPartition("orders", n) for n in range(3))
PRODUCERS_MAX = 4
LOST = 0.1
TIMEOUT_MS = 30_000
CLEANUP_MS = 10_000
SETTLING_TURNS = 40
NOBODY = Producer(-1, -1)
RETRIED = {3, 6, 7, 13, 14, 15, 16, 51}
OVER = {47, 48, 49, 90, 120}  # the producer is fenced, or has to begin anew


class MergedLog(Log):
    """A log that is read back as one batch."""

    def batches(self, partition: int) -> list[bytes]:
        items = self.partitions.get(partition)
        return [bytes(build_batch([(*item, (), 0) for item in items]))] if items else []


@cache
def config() -> BrokerConfig:
    return BrokerConfig({"transaction.state.log.num.partitions": "1"})


class Replica:
    """A partition that holds records of transactions.

    records: (tag of the transaction, its outcome once a marker has come). open: how many markers
    each producer had when its open transaction began.
    """

    def __init__(self) -> None:
        self.records: list[tuple[object, bool]] = []
        self.open: dict[int, list[object]] = {}
        self.epochs: dict[int, int] = {}
        self.coordinator_epochs: dict[int, int] = {}
        self.markers: dict[int, int] = defaultdict(int)

    def verification(self, producer: Producer) -> int | None:
        """What has to be handed to `append`; None: nothing."""
        is_open = producer.id in self.open and self.epochs[producer.id] == producer.epoch
        return None if is_open else self.markers[producer.id]

    def append(self, producer: Producer, tag: object, verification: int | None) -> int:
        """The error code."""
        if producer.epoch < self.epochs.get(producer.id, 0):
            return errors.InvalidProducerEpoch.code
        if producer.id not in self.open and verification != self.markers[producer.id]:
            return errors.InvalidTxnState.code
        if producer.epoch > self.epochs.get(producer.id, 0) and producer.id in self.open:
            raise Broken("a new epoch in an open transaction")
        self.epochs[producer.id] = producer.epoch
        self.open.setdefault(producer.id, []).append(tag)
        return 0

    def end(self, marker: Marker) -> int:
        """The error code."""
        name, epoch = marker.producer_id, self.epochs.get(marker.producer_id, -1)
        is_open = name in self.open
        if marker.version >= 2 and is_open:
            fenced = marker.producer_epoch <= epoch and marker.producer_epoch < LAST_EPOCH
        else:
            fenced = marker.producer_epoch < epoch
        if fenced:
            return errors.InvalidProducerEpoch.code
        if marker.coordinator_epoch < self.coordinator_epochs.get(name, -1):
            return errors.TransactionCoordinatorFenced.code
        self.coordinator_epochs[name] = marker.coordinator_epoch
        self.epochs[name] = marker.producer_epoch
        self.markers[name] += 1
        self.records += [(tag, marker.commit) for tag in self.open.pop(name, ())]
        return 0


class Leaders(Brokers):
    """Brokers that write markers into replicas; `written(partition, marker)` sees each."""

    def __init__(self, written: Callable[[TopicPartition, Marker], None]) -> None:
        super().__init__()
        self.instant = False
        self.replicas = {at: Replica() for at in PARTITIONS}
        self.seen = written

    def _write(self, broker: int, marker: Any) -> Any:
        ours = Marker(
            marker.producer_id,
            marker.producer_epoch,
            marker.transaction_result,
            marker.coordinator_epoch,
            marker.transaction_version,
        )
        result = Result(producer_id=marker.producer_id, topics=[])
        for topic in marker.topics:
            answered = ResultTopic(name=topic.name, partitions=[])
            result.topics.append(answered)
            for number in topic.partition_indexes:
                at = TopicPartition(topic.name, number)
                if self.leader_of(at) != broker:
                    code = errors.NotLeaderOrFollower.code
                else:
                    code = self.replicas[at].end(ours)
                    if not code:
                        self.seen(at, ours)
                answered.partitions.append(
                    ResultTopic.WritableTxnMarkerPartitionResult(
                        partition_index=number, error_code=code
                    )
                )
        return result


@dataclass(eq=False, slots=True)
class Client:
    """A producer as it sees itself.

    tag: its current transaction. acked: records in it that it was told of. wants: how its
    transaction is to end, once it has asked for that.
    """

    number: int
    name: str
    v2: bool
    producer: Producer = NOBODY
    transactions: int = 0
    tag: object = None
    added: set[TopicPartition] = field(default_factory=set)
    acked: int = 0
    sending: int = 0
    failed: bool = False
    wants: bool | None = None
    busy: bool = False
    gone: bool = False

    def begin(self) -> None:
        """The next transaction."""
        self.transactions += 1
        self.tag = (self.number, self.transactions)
        self.added.clear()
        self.acked, self.failed, self.wants = 0, False, None


class Simulation:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.chance = self.random.random
        self.log = MergedLog()
        self.leaders = Leaders(self.on_marker)
        self.version = (0, 1, 2, 2, 2, 2)[int(self.chance() * 6)]  # of the cluster
        self.bench = Bench(
            log=self.log, config=config(), elect=False, brokers=self.leaders, version=self.version
        )
        self.clients: list[Client] = []
        self.made = 0
        self.epoch = 1
        self.waiting: set[int] = set()  # requests that are not answered
        self.requests = 0
        self.granted: dict[str, tuple[int, Producer]] = {}  # to whom last, as it was told
        self.given: dict[Producer, int] = {}  # to which client, ever
        self.kept: dict[str, Transaction] = {}  # the last committed record
        self.seen: dict[str, tuple[Transaction | None, Transaction | None]] = {}  # found equal
        # Committed decisions by what their markers say, and which of their partitions have them.
        self.decisions: dict[tuple[int, int], Decision] = {}
        self.told: list[tuple[object, bool, int]] = []  # (tag, outcome, records acknowledged)
        if self.chance() < 0.3:
            self.begin_with_few_epochs()
        self.log.instant = False
        self.bench.elect_one(0, self.epoch)

    def begin_with_few_epochs(self) -> None:
        for name in NAMES:
            self.bench.next_id += 1
            kept = Transaction(
                producer_id=self.bench.next_id,
                producer_epoch=LAST_EPOCH - int(self.chance() * 4),
                timeout_ms=TIMEOUT_MS,
                updated_ms=self.bench.timers.now_ms(),
            )
            self.kept[name] = kept
            self.log.partitions.setdefault(0, []).append(record(name, kept, version=self.version))

    def run(self) -> None:
        chance, steps = self.chance, self.STEPS
        for _ in range(STEPS):
            steps[int(chance() * len(steps))](self)
            self.check_state()
        self.settle()

    # What producers do.

    def start(self) -> None:
        if len(self.clients) < PRODUCERS_MAX:
            self.made += 1
            v2 = self.version == 2 and self.chance() < 0.7
            client = Client(self.made, NAMES[self.chance() < 0.3], v2)
            self.clients.append(client)
            self.init(client)

    def any_client(self) -> Client | None:
        return self.clients[int(self.chance() * len(self.clients))] if self.clients else None

    def go_on(self, client: Client | None = None) -> None:
        """What comes next for a producer."""
        client = client or self.any_client()
        if client is None or client.busy or client.sending:
            return
        if client.producer == NOBODY:
            self.init(client)
        elif client.wants is not None:
            self.end(client)
        elif not (client.tag and (client.acked or client.failed)) or self.chance() < 0.5:
            self.produce(client)
        else:
            client.wants = self.chance() < 0.7 and not client.failed
            self.end(client)

    def init(self, client: Client) -> None:
        client.busy = True
        answer = self.bench.init(client.name, timeout=TIMEOUT_MS)
        self.expect(answer, client, lambda said: self.on_init(client, said))

    def recover(self) -> None:
        """KIP-360: a producer that shows what it has, for the next epoch."""
        client = self.any_client()
        if client is None or client.busy or client.sending or client.producer == NOBODY:
            return
        client.busy, before = True, client.producer
        answer = self.bench.init(client.name, before, timeout=TIMEOUT_MS)
        self.expect(answer, client, lambda said: self.on_init(client, said))

    def on_init(self, client: Client, said: Any) -> None:
        if isinstance(said, Producer):
            self.grant(client, said)
            client.tag = client.wants = None
        elif said in OVER:
            self.give_up(client)
        elif said not in RETRIED:
            raise Broken(f"{client} was told {said}")

    def grant(self, client: Client, producer: Producer) -> None:
        """A producer was told what is its own from now on."""
        if self.given.setdefault(producer, client.number) != client.number:
            raise Broken(f"{producer} was given to two producers")
        _, before = self.granted.get(client.name, (0, NOBODY))
        if producer.id == before.id and producer.epoch < before.epoch:
            raise Broken(f"epoch {producer.epoch} is given after {before.epoch}")
        self.granted[client.name] = client.number, producer
        client.producer = producer

    def give_up(self, client: Client) -> None:
        client.gone = True
        if client in self.clients:
            self.clients.remove(client)

    def produce(self, client: Client) -> None:
        """Send a record; TV1 adds the partition first, and the leader verifies."""
        if client.producer == NOBODY or client.wants is not None:
            return
        if client.tag is None:
            client.begin()
        at = PARTITIONS[int(self.chance() * len(PARTITIONS))]
        client.sending += 1
        if client.v2 or at in client.added:
            self.send(client, at)
            return

        def added(code: Any) -> None:
            if code == 0:
                client.added.add(at)
                self.send(client, at)
            else:
                self.on_produced(client, code)

        self.expect(self.bench.add(client.name, client.producer, at), client, added, sends=True)

    def send(self, client: Client, at: TopicPartition) -> None:
        """The leader takes the record once the transaction's coordinator says so."""
        replica, producer, tag = self.leaders.replicas[at], client.producer, client.tag
        verification = replica.verification(producer)

        def enlisted(code: Any) -> None:
            if code == 0:
                code = replica.append(producer, tag, verification)
            self.on_produced(client, code)

        if verification is None:
            enlisted(0)
            return
        answer = self.bench.enlist(client.name, producer, at, verify=not client.v2)
        self.expect(answer, client, enlisted, sure=True, sends=True)

    def on_produced(self, client: Client, code: int) -> None:
        client.sending -= 1
        if code == 0:
            client.acked += 1
        else:
            client.failed = True  # it may only abort, as far as it knows
            if code not in RETRIED | OVER:
                raise Broken(f"{client} was told {code} of its record")

    def end(self, client: Client) -> None:
        commit = client.wants
        assert commit is not None
        if not client.v2 and not client.added:
            client.tag = client.wants = None  # there is nothing to end
            return
        client.busy = True
        answer = self.bench.end(
            client.name, client.producer, commit=commit, version=5 if client.v2 else 4
        )
        self.expect(answer, client, lambda said: self.on_end(client, commit, said))

    def on_end(self, client: Client, commit: bool, said: Any) -> None:
        if isinstance(said, Producer) or said == 0:
            if client.tag is not None:
                self.told.append((client.tag, commit, client.acked))
            client.tag = client.wants = None
            if isinstance(said, Producer):
                self.grant(client, said)
        elif said in OVER:
            self.give_up(client)
        elif said not in RETRIED:
            raise Broken(f"{client} was told {said}")

    def die(self) -> None:
        client = self.any_client()
        if client is not None:
            self.give_up(client)

    def expect(
        self,
        answer: Any,
        client: Client,
        then: Callable[[Any], object],
        *,
        sure: bool = False,
        sends: bool = False,
    ) -> None:
        """Hand an answer to `then`, now or later; some are lost unless `sure`."""
        lost = not sure and self.chance() < LOST
        self.requests += 1
        number = self.requests
        self.waiting.add(number)

        def arrived(said: Any) -> None:
            self.waiting.discard(number)
            if not sends:
                client.busy = False
            if lost and sends:
                self.on_produced(client, errors.NetworkException.code)
            elif not lost and (sends or not client.gone):
                then(said)

        if isinstance(answer, Deferred):
            answer.then(lambda done: arrived(done.result()))
        else:
            arrived(answer)

    # What the log does.

    def write(self) -> None:
        if self.log.pending:
            self.committed(self.log.pending[0].records)
            self.log.complete(1)

    def write_all(self) -> None:
        while self.log.pending:
            self.write()

    def write_fails(self) -> None:
        if self.log.pending:
            if self.chance() < 0.5:  # it is in the log, though nobody knows
                self.log.partitions.setdefault(0, []).extend(self.log.pending[0].records)
            self.log.fail(errors.RequestTimedOut())

    def committed(self, records: Any) -> None:
        """Records are in force from now on."""
        for key, value in records:
            name = read_key(key)
            assert name is not None
            if value is None:
                self.kept.pop(name, None)
                continue
            before, kept = self.kept.get(name), read_value(value)
            self.kept[name] = kept
            if kept.state.is_prepared:
                self.decided(name, before, kept)
            elif kept.state in (State.COMPLETE_COMMIT, State.COMPLETE_ABORT):
                self.completed(before, kept)

    def decided(self, name: str, before: Transaction | None, kept: Transaction) -> None:
        commit = kept.state is State.PREPARE_COMMIT
        at = (kept.producer_id, kept.producer_epoch)
        found = self.decisions.get(at)
        is_again = found is not None and found.is_final and kept.bumps_epochs
        if is_again and kept.partitions and kept.producer_epoch < LAST_EPOCH:
            raise Broken(f"{at} is of two transactions")
        self.decisions[at] = Decision(commit, kept.partitions)
        if commit and before is not None:
            # Who asked for it: with TV2 the markers' epoch is one higher than the producer's own.
            owner = Producer(kept.producer_id, before.producer_epoch)
            _, granted = self.granted.get(name, (0, NOBODY))
            if granted.id == owner.id and owner.epoch < granted.epoch:
                raise Broken(f"{owner} commits, though {granted} was told to another")

    def completed(self, before: Transaction | None, kept: Transaction) -> None:
        if before is None or not before.state.is_prepared:
            raise Broken("complete, though nothing was decided")
        decision = self.decisions[before.producer_id, before.producer_epoch]
        if decision.commit != (kept.state is State.COMPLETE_COMMIT):
            raise Broken("it is completed as it was not decided")
        if decision.marked != decision.partitions:
            raise Broken(f"complete without markers: {decision}")
        decision.is_final = True

    def on_marker(self, at: TopicPartition, marker: Marker) -> None:
        decision = self.decisions.get((marker.producer_id, marker.producer_epoch))
        if decision is None:
            raise Broken(f"{marker} was not decided")
        if at not in decision.partitions or decision.commit != marker.commit:
            raise Broken(f"{marker} in {at}, decided was {decision}")
        decision.marked.add(at)

    # What brokers, the clock and elections do.

    def markers_arrive(self) -> None:
        pending = self.leaders.pending
        if pending:
            self.leaders.answer(int(self.chance() * len(pending)))

    def answer_is_lost(self) -> None:
        if self.leaders.pending:
            self.leaders.lose(written=self.chance() < 0.5)

    def leader_moves(self) -> None:
        at = PARTITIONS[int(self.chance() * len(PARTITIONS))]
        self.leaders.leaders[at] = (1, 2, -1)[int(self.chance() * 3)]

    def wait(self) -> None:
        self.bench.timers.advance((1, 20, 100, 1_000)[int(self.chance() * 4)])

    def wait_long(self) -> None:
        if self.chance() < 0.1:
            self.expire()
            return
        self.bench.timers.advance(TIMEOUT_MS * (self.chance() < 0.5) + CLEANUP_MS)
        self.clean_up()

    def clean_up(self) -> None:
        """What the broker does every ten seconds; what is open for too long is open no more."""
        now_ms = self.bench.timers.now_ms()
        self.bench.coordinator.abort_timed_out(now_ms)
        for name, entry in self.bench.coordinator.shards.at(0).entries.items():
            kept = entry.kept
            if kept is None or kept.state is not State.ONGOING or entry.pending is not None:
                continue
            if kept.start_ms + kept.timeout_ms < now_ms:
                raise Broken(f"{name} is open since {now_ms - kept.start_ms} ms")

    def expire(self) -> None:
        self.bench.timers.advance(8 * 86_400_000)
        self.bench.coordinator.expire(self.bench.timers.now_ms())

    def reload(self) -> None:
        """The partition moves, and comes back: of the writes on their way some are in the log."""
        saved = int(self.chance() * (len(self.log.pending) + 1))
        for write in self.log.pending[:saved]:
            self.log.partitions.setdefault(0, []).extend(write.records)
        self.resign()
        self.epoch += 1
        self.kept.clear()
        for item in self.log.partitions.get(0, ()):
            name = read_key(item[0])
            assert name is not None
            self.found(name, item[1])
        for name, kept in self.kept.items():
            if kept.state.is_prepared:  # perhaps nobody knew of it
                at = (kept.producer_id, kept.producer_epoch)
                known, commit = self.decisions.get(at), kept.state is State.PREPARE_COMMIT
                if known is None or (known.commit, known.partitions) != (commit, kept.partitions):
                    self.decided(name, None, kept)
        self.bench.elect_one(0, self.epoch)

    def found(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.kept.pop(name, None)
        else:
            self.kept[name] = read_value(value)

    def resign(self) -> None:
        self.bench.coordinator.resigned(0)
        while self.log.pending:
            self.log.fail(errors.NotLeaderOrFollower())
        if self.waiting:
            raise Broken("a request was left waiting")

    # Invariants.

    def check_state(self) -> None:
        entries = self.bench.coordinator.shards.at(0).entries
        for name, entry in entries.items():
            kept, model = entry.kept, self.kept.get(name)
            seen = self.seen.get(name)
            if seen is not None and seen[0] is kept and seen[1] is model:
                continue
            if kept is None:
                if model is not None and entry.pending is None:
                    raise Broken(f"{name} is forgotten")
            elif model is None or (
                kept.producer_id != model.producer_id
                or kept.producer_epoch != model.producer_epoch
                or kept.state is not model.state
                or kept.partitions != model.partitions
                or kept.next_producer_id != model.next_producer_id
                or kept.start_ms != model.start_ms
            ):
                raise Broken(f"{name} is {kept}, in the log it is {model}")
            self.seen[name] = kept, model
        if len(self.kept) > len(entries):
            raise Broken(f"{self.kept.keys()} are in the log, {entries.keys()} in memory")

    def settle(self) -> None:
        """Without further mishaps everything is decided, marked and complete."""
        for at in PARTITIONS:
            self.leaders.leaders[at] = 1
        for _ in range(SETTLING_TURNS):
            self.write_all()
            self.leaders.answer_all()
            self.bench.timers.advance(CLEANUP_MS)
            self.clean_up()
            self.check_state()
            if self.settled():
                break
        else:
            entries = self.bench.coordinator.shards.at(0).entries
            raise Broken(f"{[(e.kept, e.pending) for e in entries.values()]} do not settle")
        self.check_records()
        self.resign()

    def settled(self) -> bool:
        if self.waiting or self.log.pending or self.leaders.pending:
            return False
        entries = self.bench.coordinator.shards.at(0).entries.values()
        return all(e.kept and e.kept.state.is_at_rest and e.pending is None for e in entries)

    def check_records(self) -> None:
        """Every record has one outcome, the one that its producer was told."""
        outcomes: dict[object, set[bool]] = defaultdict(set)
        counts: dict[object, int] = defaultdict(int)
        for at, replica in self.leaders.replicas.items():
            if replica.open:
                raise Broken(f"{at} holds open records of {replica.open}")
            for tag, commit in replica.records:
                outcomes[tag].add(commit)
                counts[tag] += 1
        for tag, found in outcomes.items():
            if len(found) > 1:
                raise Broken(f"transaction {tag} is committed and aborted")
        for tag, commit, acked in self.told:
            if counts[tag] < acked:
                raise Broken(f"{acked} records of {tag} were acknowledged, {counts[tag]} are there")
            if tag in outcomes and outcomes[tag] != {commit}:
                raise Broken(f"{tag} was told commit={commit}")

    def calm(self) -> None:
        """Everyone does what comes next, and nothing goes wrong meanwhile."""
        for client in list(self.clients):
            self.go_on(client)
        self.write_all()
        self.leaders.answer_all()
        self.write_all()

    # Twice or more: so much more often.
    STEPS = (
        *[start] * 2, *[go_on] * 14, recover, die, *[write] * 5, *[write_all] * 4, write_fails,
        *[markers_arrive] * 4, answer_is_lost, leader_moves, *[wait] * 4, wait_long, reload,
        *[calm] * 10,
    )  # fmt: skip


@dataclass(slots=True)
class Decision:
    """What was decided, and where it is marked."""

    commit: bool
    partitions: frozenset[TopicPartition]
    marked: set[TopicPartition] = field(default_factory=set)
    is_final: bool = False
