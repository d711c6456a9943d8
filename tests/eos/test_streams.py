"""A Kafka Streams application, exactly_once_v2, under faults: every count is told once, in order.

Three instances count words in all and by windows; the application makes its own topics on the
broker. As every step is told, the counts of a word read 1, 2, 3, ... up to what the lines hold: a
lost, doubled or swapped step shows.

    FASTBROKER_FAULTS=100 FASTBROKER_SEED=3 pytest tests/eos/test_streams.py -s
"""
from __future__ import annotations

import os
import pathlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from tests.eos.brokers import broker_for
from tests.eos.clients import streams
from tests.eos.inputs import Inputs
from tests.eos.instances import Instance
from tests.eos.journal import Journal, now_ms
from tests.eos.quiet import no_transaction_hangs
from tests.eos.raw import Raw
from tests.eos.run import SETTINGS, TRANSACTION_MS
from tests.eos.storm import RECOVERY_S, Storm

FAULTS = int(os.environ.get("FASTBROKER_FAULTS", "4"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
RATE = float(os.environ.get("FASTBROKER_RATE", "60"))
PARTITIONS, INSTANCES, WORDS, WINDOW_MS, SESSION_MS = 4, 3, 16, 5000, 4000
LINES, TOTALS, WINDOWS, GROUP = "lines", "totals", "windows", "word-count"
START_S = 90.0
MADE = {  # by the application: topics and their cleanup.policy
    f"{GROUP}-words-repartition": "delete",
    f"{GROUP}-totals-changelog": "compact",
    f"{GROUP}-by-window-changelog": "compact,delete",
}


class Lines:
    """Lines by chance; `steps` is what has to be counted so far."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.steps = 0

    def __call__(self, number: int) -> str:
        words = [f"w{self.chance.randrange(WORDS)}" for _ in range(self.chance.randint(1, 4))]
        self.steps += len(words)
        return f"{now_ms()} i{number} {' '.join(words)}"


def expected(lines: Sequence[str]) -> dict[str, Counter[str]]:
    """By topic, the last count of each key."""
    out: dict[str, Counter[str]] = {TOTALS: Counter(), WINDOWS: Counter()}
    for line in lines:
        time, _, *words = line.split(" ")
        start = int(time) // WINDOW_MS * WINDOW_MS
        out[TOTALS].update(words)
        out[WINDOWS].update(f"{word}@{start}" for word in words)
    return out


def wrong_steps(told: Sequence[tuple[str, str]], wanted: Mapping[str, int]) -> list[str]:
    """What is wrong with the steps of one topic, keys and counts in the order of their offsets."""
    counts: Counter[str] = Counter()
    wrong = []
    for key, count in told:
        counts[key] += 1
        if int(count) != counts[key]:
            wrong.append(f"{key}: step {counts[key]} tells {count}")
            counts[key] = int(count)
    wrong += [f"{key}: {counts[key]}, not {n}" for key, n in wanted.items() if counts[key] != n]
    return wrong + [f"{key}: nobody's" for key in counts.keys() - wanted.keys()]


def test_what_is_wrong_with_steps_is_told() -> None:
    wanted = {"a": 2, "b": 1}
    right = [("a", "1"), ("b", "1"), ("a", "2")]
    assert wrong_steps(right, wanted) == []
    assert wrong_steps([*right, ("a", "2")], wanted)
    assert wrong_steps([*right, ("c", "1")], wanted)
    assert wrong_steps(right[:2], wanted)
    assert wrong_steps(right[::-1], wanted)
    assert expected(["7000 i0 a b", "4000 i1 a"]) == {
        TOTALS: {"a": 2, "b": 1},
        WINDOWS: {"a@5000": 1, "b@5000": 1, "a@0": 1},
    }


@pytest.mark.crash
@pytest.mark.interop
@pytest.mark.timeout(300 + 60 * FAULTS)
def test_every_count_is_told_once(tmp_path: pathlib.Path) -> None:
    program = streams()
    broker = broker_for(tmp_path / "broker", SETTINGS)
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    topics = [NewTopic(name, PARTITIONS, 1) for name in (LINES, TOTALS, WINDOWS)]
    for made in admin.create_topics(topics, request_timeout=20).values():
        made.result(30)
    lines = Lines(SEED)
    inputs = Inputs(
        broker.bootstrap, LINES, PARTITIONS, rate=RATE, value=lines,
        journal=Journal(tmp_path / "inputs.jsonl", "inputs"),
    )  # fmt: skip

    def command(life: str, _: str, __: pathlib.Path) -> tuple[Sequence[str], Mapping[str, str]]:
        return program.line(
            bootstrap=broker.bootstrap, group=GROUP, state=str(tmp_path / "state" / life),
            threads="1", session=str(SESSION_MS), timeout=str(TRANSACTION_MS), input=LINES,
            totals=TOTALS, windows=WINDOWS, window=str(WINDOW_MS),
        )  # fmt: skip

    instances = [Instance(f"count{n}", tmp_path, command) for n in range(INSTANCES)]
    raw = Raw(broker.bootstrap)

    def passed(marks: list[int]) -> bool:
        stored = raw.stored(GROUP, LINES, PARTITIONS)
        return all(at >= mark for at, mark in zip(stored, marks, strict=True))

    storm = Storm(broker, instances, inputs, passed, SEED)
    print(f"\nKafka Streams, seed {SEED}, {FAULTS} faults: {tmp_path}", flush=True)
    try:
        inputs.start()
        for instance in instances:
            instance.start()
        storm.wait(lambda: passed([1] * PARTITIONS), START_S, "the first counts")
        assert policies(admin) == MADE
        storm.play(FAULTS)
        inputs.stop()
        storm.wait(lambda: len(steps(raw, TOTALS)) >= lines.steps, RECOVERY_S, "all to be counted")
        storm.wait(lambda: len(steps(raw, WINDOWS)) >= lines.steps, RECOVERY_S, "all in windows")
        for number, instance in enumerate(instances):
            instance.end(kindly=number == 0)
        took = no_transaction_hangs(raw, [TOTALS, WINDOWS, *MADE], TRANSACTION_MS / 1000)
        print(f"     no transaction is open {took:.1f} s after the end", flush=True)
        wanted = expected(
            [value for log in raw.read_committed(LINES).values() for _, _, value in log.records]
        )
        for topic, counts in wanted.items():
            assert sum(counts.values()) == lines.steps, "lines are missing"
            wrong = wrong_steps(steps(raw, topic), counts)
            assert not wrong, f"{topic}, {len(wrong)} wrong: " + "; ".join(wrong[:10])
        print(
            f"Kafka Streams: {storm.told()}; {inputs.sent} lines, {lines.steps} words counted"
            f" twice, {len(wanted[WINDOWS])} windows of words: duplicates 0, lost 0",
            flush=True,
        )
    finally:
        for instance in instances:
            instance.end(kindly=False)
        inputs.abandon()
        broker.stop()


def steps(raw: Raw, topic: str) -> list[tuple[str, str]]:
    """Keys and counts, each partition's in its order."""
    return [
        (key, value) for log in raw.read_committed(topic).values() for _, key, value in log.records
    ]


def policies(admin: AdminClient) -> dict[str, str]:
    """The topics that the application has made, and their cleanup.policy."""
    names = [name for name in admin.list_topics(timeout=20).topics if name.startswith(GROUP)]
    asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    return {
        resource.name: told.result(20)["cleanup.policy"].value
        for resource, told in admin.describe_configs(asked).items()
    }
