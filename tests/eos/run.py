"""One pipeline under faults, from the first input to the last check."""
from __future__ import annotations

import os
import pathlib
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.eos.brokers import Broker
from tests.eos.clients import READERS, Pipeline
from tests.eos.effects import differences
from tests.eos.inputs import Inputs
from tests.eos.instances import Instance
from tests.eos.journal import Journal, now_ms
from tests.eos.progress import Progress
from tests.eos.quiet import no_transaction_hangs
from tests.eos.raw import READ_UNCOMMITTED, Log, Raw
from tests.eos.storm import RECOVERY_S, Storm
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
START_S, READ_S = 60.0, 120.0


@dataclass
class Run:
    """Everything that lives while one pipeline is tested."""

    pipeline: Pipeline
    broker: Broker
    folder: pathlib.Path
    seed: int
    rate: float

    def __post_init__(self) -> None:
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
        storm = Storm(
            self.broker, self.instances, inputs, self.progress.passed, self.seed,
            owned=self.pipeline.owned,
        )  # fmt: skip
        try:
            inputs.start()
            for instance in [*self.instances, follower]:
                instance.start()
            storm.wait(lambda: self.progress.passed([1] * PARTITIONS), START_S, "the first copies")
            storm.play(faults)
            inputs.stop()
            storm.wait(lambda: self.progress.passed(inputs.acked), RECOVERY_S, "all to be copied")
            for number, instance in enumerate(self.instances):
                instance.end(kindly=number % 2 == 0)
            follower.end(kindly=True)
            took = no_transaction_hangs(
                Raw(self.broker.bootstrap), [OUTPUT], TRANSACTION_MS / 1000
            )
            print(f"     no transaction is open {took:.1f} s after the end", flush=True)
            self._tell_ends()
            return self._sum_up(storm, self._read_everything(inputs))
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

    def _sum_up(self, storm: Storm, logs: Mapping[int, Log]) -> str:
        events = load(sorted(self.journals.glob("*.jsonl")))
        found = check(events)
        assert not found, told(found)
        kinds = Counter(event["event"] for event in events)
        assert kinds["committed"] > 2 * sum(storm.struck.values()), "too little was committed"
        copied = sum(len(log.records) for log in logs.values())
        unknown = kinds["begin"] - kinds["committed"] - kinds["aborted"]
        return (
            f"{self.pipeline.name}: {storm.told()}; {storm.inputs.sent} inputs, {copied} outputs,"
            f" transactions {kinds['committed']} committed {kinds['aborted']} aborted"
            f" {unknown} without an answer; history of {len(events)} events:"
            f" duplicates 0, lost 0, anomalies 0"
        )


def _run_to_end(command: Sequence[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **env}, timeout=READ_S, capture_output=True, text=True,
        cwd=pathlib.Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, f"{command[-8:]}:\n{done.stdout}{done.stderr}"
