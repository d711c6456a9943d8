"""One pipeline under faults, from the first input to the last check."""
from __future__ import annotations

import os
import pathlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.broker_process import wait_until
from tests.eos.brokers import Broker
from tests.eos.clients import READERS, Pipeline
from tests.eos.effects import differences
from tests.eos.faults import Fault, schedule
from tests.eos.inputs import Inputs
from tests.eos.instances import Instance, Life
from tests.eos.journal import Journal, now_ms
from tests.eos.progress import Progress
from tests.eos.raw import READ_COMMITTED, READ_UNCOMMITTED, Log, Raw
from tests.history.checker import check
from tests.history.events import load
from tests.history.findings import told

PARTITIONS, INSTANCES = 6, 3
INPUT, OUTPUT = "inputs", "outputs"
SESSION_MS, TRANSACTION_MS = 3000, 8000
# Short ones, so that what was killed is missed soon.
SETTINGS = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "300",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}
START_S, RECOVERY_S, READ_S = 60.0, 60.0, 120.0
NOT_HANGING_S = TRANSACTION_MS / 1000 + 10


@dataclass
class Run:
    """Everything that lives while one pipeline is tested."""

    pipeline: Pipeline
    broker: Broker
    folder: pathlib.Path
    seed: int
    rate: float
    struck: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.journals = self.folder / "journals"
        self.journals.mkdir(parents=True)
        self.program = self.pipeline.program()
        self.readers = {name: program() for name, program in READERS.items()}
        self.progress = Progress(self.journals, PARTITIONS)
        self.instances = [
            Instance(f"copy{n}", self.journals, self._command(n)) for n in range(INSTANCES)
        ]

    def go(self, faults: int) -> str:
        """The whole run; a line that sums it up. AssertionError for anything that is wrong."""
        self.broker.start()
        self._create_topics()
        inputs = Inputs(
            self.broker.bootstrap, INPUT, PARTITIONS, rate=self.rate,
            journal=Journal(self.journals / "inputs.jsonl", "inputs"),
        )  # fmt: skip
        follower = Instance("follower", self.journals, self._follower)
        try:
            inputs.start()
            for instance in [*self.instances, follower]:
                instance.start()
            self._wait(lambda: self.progress.passed([1] * PARTITIONS), START_S, "the first copies")
            plan = schedule(self.chance, faults, INSTANCES, self.broker.targets)
            for number, fault in enumerate(plan, 1):
                self._fault(number, fault, inputs)
            inputs.stop()
            self._wait(lambda: self.progress.passed(inputs.acked), RECOVERY_S, "all to be copied")
            for number, instance in enumerate(self.instances):
                instance.end(kindly=number % 2 == 0)
            follower.end(kindly=True)
            self._no_transaction_hangs()
            self._tell_ends()
            return self._sum_up(inputs, self._read_everything(inputs))
        finally:
            for instance in [*self.instances, follower]:
                instance.end(kindly=False)
            inputs.abandon()

    def _command(
        self, number: int
    ) -> Callable[[str, str, pathlib.Path], tuple[Sequence[str], Mapping[str, str]]]:
        mine = range(number, PARTITIONS, INSTANCES) if self.pipeline.owned else ()

        def command(
            life: str, instance: str, journal: pathlib.Path
        ) -> tuple[Sequence[str], Mapping[str, str]]:
            return self.program.line(
                role="copy", bootstrap=self.broker.bootstrap, process=life, journal=str(journal),
                id=instance, group="copiers", input=INPUT, output=OUTPUT,
                partitions=",".join(map(str, mine)), protocol=self.pipeline.protocol,
                session=str(SESSION_MS), timeout=str(TRANSACTION_MS),
            )  # fmt: skip

        return command

    def _follower(
        self, life: str, instance: str, journal: pathlib.Path
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        return self.readers["confluent_kafka"].line(
            role="read", bootstrap=self.broker.bootstrap, process=life, journal=str(journal),
            topic=OUTPUT, group=instance, follow="yes",
        )  # fmt: skip

    def _create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        topics = [NewTopic(name, PARTITIONS, 1) for name in (INPUT, OUTPUT)]
        for made in admin.create_topics(topics, request_timeout=20).values():
            made.result(30)

    def _wait(self, condition: Callable[[], bool], deadline_s: float, what: str) -> None:
        def now() -> bool:
            for instance in self.instances:
                instance.look()
            time.sleep(0.02)
            return condition()

        try:
            wait_until(now, deadline_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._state()}") from None

    def _state(self) -> str:
        """For a run that got stuck."""
        self.progress.update()
        lines = [f"copied up to {self.progress.committed}"]
        for instance in self.instances:
            for life in [instance.life, *instance.zombies]:
                if life is not None:
                    lines.append(f"{life.name} says:\n{life.last_words()}")
        return "\n".join([*lines, "the broker says:", self.broker.last_words()])

    def _fault(self, number: int, fault: Fault, inputs: Inputs) -> None:
        time.sleep(fault.wait_s if fault.alone else fault.wait_s / 10)
        instance = self.instances[fault.instance]
        instance.look()
        self.struck[fault.kind] += 1
        begun = time.monotonic()
        marks = [at + 1 for at in inputs.acked]
        zombie: Life | None = None
        if fault.kind == "kill":
            said = f"{instance.kill()}, for {fault.lasts_s:.1f} s"
            time.sleep(fault.lasts_s)
            begun, marks = time.monotonic(), [at + 1 for at in inputs.acked]
            instance.start()
        elif "zombie" in fault.kind:
            zombie = instance.freeze()
            said = f"{zombie.name} stands still for {fault.lasts_s:.1f} s"
            if fault.kind == "replaced zombie" or self.pipeline.owned:
                instance.start()
        else:
            said = self.broker.strike(fault.kind)
            marks = [at + 1 for at in inputs.acked]
        self._recovered(fault, begun, marks)
        took = time.monotonic() - begun
        if zombie is not None:
            time.sleep(max(0.0, fault.lasts_s - took))
            instance.thaw(zombie, take_back=instance.life is None)
            self._recovered(fault, time.monotonic(), [at + 1 for at in inputs.acked])
            self._see_off(instance, zombie)
        who = f"copy{fault.instance}" if zombie or fault.kind == "kill" else "broker"
        print(f"{number:4} {fault.kind:16} {who:8} copying again {took:5.1f} s  {said}", flush=True)

    def _recovered(self, fault: Fault, begun: float, marks: list[int]) -> None:
        """An input that came after the fault is copied, for each partition."""
        self._wait(lambda: self.progress.passed(marks), RECOVERY_S, f"copies after {fault}")
        self.slowest = max(self.slowest, (time.monotonic() - begun, fault.kind))

    def _see_off(self, instance: Instance, zombie: Life) -> None:
        """A zombie whose id is another's is fenced, or has come back to nothing: it goes."""
        if zombie not in instance.zombies:
            return
        end = time.monotonic() + 3
        while zombie in instance.zombies and time.monotonic() < end:
            instance.look()
            time.sleep(0.02)
        instance.bury()

    def _no_transaction_hangs(self) -> None:
        raw = Raw(self.broker.bootstrap)

        begun = time.monotonic()
        while True:
            ends = raw.end_offsets(OUTPUT, READ_UNCOMMITTED)
            stable, open_ones = raw.end_offsets(OUTPUT, READ_COMMITTED), raw.ongoing()
            took = time.monotonic() - begun
            if stable == ends and not open_ones:
                break
            what = f"{took:.0f} s after the end: stable to {stable} of {ends}, open: {open_ones}"
            assert took < NOT_HANGING_S, f"{what}\n{self.broker.last_words()}"
            time.sleep(0.2)
        print(f"     no transaction is open {took:.1f} s after the end", flush=True)

    def _tell_ends(self) -> None:
        journal, asked = Journal(self.journals / "ends.jsonl", "ends"), now_ms()
        for topic in (INPUT, OUTPUT):
            ends = Raw(self.broker.bootstrap).end_offsets(topic, READ_UNCOMMITTED)
            for partition, end in ends.items():
                journal.note("end", asked=asked, topic=topic, partition=partition, offset=end)
        journal.close()

    def _read_everything(self, inputs: Inputs) -> dict[int, Log]:
        """All readers read all, and all see each input's effect once; the inputs."""
        raw = Raw(self.broker.bootstrap)
        logs = {topic: raw.read_committed(topic) for topic in (INPUT, OUTPUT)}
        assert sum(len(log.records) for log in logs[INPUT].values()) == inputs.sent
        journal = Journal(self.journals / "raw.jsonl", "raw")
        for topic, by_partition in logs.items():
            for p, log in by_partition.items():
                records = [list(record) for record in log.records]
                if records:
                    journal.note("poll", topic=topic, partition=p, records=records)
                journal.note("reached", topic=topic, partition=p, offset=log.end)
        journal.close()
        ends = ",".join(
            f"{p}:{log.records[-1][0] + 1}" for p, log in logs[OUTPUT].items() if log.records
        )
        for name, program in self.readers.items():
            reader = f"reader-{name}"
            command, env = program.line(
                role="read", bootstrap=self.broker.bootstrap, process=reader,
                journal=str(self.journals / f"{reader}.jsonl"), topic=OUTPUT, group=reader,
                ends=ends, session=str(SESSION_MS),
            )  # fmt: skip
            _run_to_end(command, env)
        wanted = {p: log.records for p, log in logs[INPUT].items()}
        for reader in ["raw", *(f"reader-{name}" for name in self.readers)]:
            wrong = differences(wanted, self._seen_by(reader))
            assert not wrong, f"{reader} sees: " + "; ".join(wrong[:10])
        return logs[INPUT]

    def _seen_by(self, reader: str) -> dict[int, list[tuple[int, str, str]]]:
        out: dict[int, list[tuple[int, str, str]]] = {}
        for event in load([self.journals / f"{reader}.jsonl"]):
            if event["event"] == "poll" and event["topic"] == OUTPUT:
                records = [(offset, key, value) for offset, key, value in event["records"]]
                out.setdefault(event["partition"], []).extend(records)
        return out

    def _sum_up(self, inputs: Inputs, logs: Mapping[int, Log]) -> str:
        events = load(sorted(self.journals.glob("*.jsonl")))
        found = check(events)
        assert not found, told(found)
        kinds = Counter(event["event"] for event in events)
        assert kinds["committed"] > 2 * sum(self.struck.values()), "too little was committed"
        copied = sum(len(log.records) for log in logs.values())
        unknown = kinds["begin"] - kinds["committed"] - kinds["aborted"]
        struck = ", ".join(f"{kind} {times}" for kind, times in sorted(self.struck.items()))
        return (
            f"{self.pipeline.name}: seed {self.seed}, {sum(self.struck.values())} faults"
            f" ({struck}),"
            f" {inputs.sent} inputs, {copied} outputs, transactions {kinds['committed']} committed"
            f" {kinds['aborted']} aborted {unknown} without an answer,"
            f" {sum(i.fenced for i in self.instances)} fenced,"
            f" {sum(i.stuck for i in self.instances)} stuck,"
            f" history of {len(events)} events: duplicates 0, lost 0, anomalies 0,"
            f" slowest recovery {self.slowest[0]:.1f} s ({self.slowest[1]})"
        )


def _run_to_end(command: Sequence[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **env}, timeout=READ_S, capture_output=True, text=True,
        cwd=pathlib.Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, f"{command[-8:]}:\n{done.stdout}{done.stderr}"
