"""kill -9 of any worker, of the controller, of everything, at random, under idempotent producing.

Every acknowledged record is read back exactly once, in order. The time to serving again after each
kill is printed: for a worker, until a record sent to each of its partitions after the kill is
acknowledged; for the controller, until a topic can be created; for everything, from the start of
the new supervisor until a record sent after it is acknowledged on every partition.

    pytest tests/crash/test_kill9.py -s             50 kills, seed 1
    FASTBROKER_KILLS=500 FASTBROKER_SEED=7 pytest tests/crash/test_kill9.py -s
"""
from __future__ import annotations

import os
import pathlib
import random
import statistics
import time

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker_process import BrokerProcess, wait_until
from tests.crash.acked_log import AckedLog, check, read_back

KILLS = int(os.environ.get("FASTBROKER_KILLS", "50"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
WORKERS, PARTITIONS = 2, 4
SERVING_DEADLINE_S = 30.0
TARGETS = [*(f"fb-worker-{n}" for n in range(WORKERS)), "fb-controller", "everything"]


def admin_of(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def create_topic(admin: AdminClient, name: str, partitions: int, timeout_s: float = 10) -> None:
    admin.create_topics([NewTopic(name, partitions, 1)], request_timeout=timeout_s)[name].result()


def can_create_topic(admin: AdminClient, name: str) -> bool:
    try:
        create_topic(admin, name, 1, timeout_s=2)
    except KafkaException as error:
        return "already exists" in str(error)
    return True


def leaders(admin: AdminClient, topic: str) -> dict[int, int]:
    """Partition to worker number, from the metadata."""
    described = admin.list_topics(topic, timeout=10).topics[topic]
    return {p: (m.leader - 1) // 1000 for p, m in described.partitions.items()}


@pytest.mark.crash
@pytest.mark.timeout(20 * KILLS + 120)
def test_acknowledged_records_survive_kill_9(tmp_path: pathlib.Path) -> None:
    chance = random.Random(SEED)
    took: dict[str, list[float]] = {target: [] for target in TARGETS}
    broker = BrokerProcess(tmp_path, workers=WORKERS)
    broker.start()
    try:
        admin = admin_of(broker.bootstrap)
        create_topic(admin, "numbers", PARTITIONS)
        wait_until(lambda: len(leaders(admin, "numbers")) == PARTITIONS, 10, "leaders")
        leader_of = leaders(admin, "numbers")
        assert set(leader_of.values()) == set(range(WORKERS)), "partitions spread over the workers"
        log = AckedLog(broker.bootstrap, "numbers", PARTITIONS)
        log.start()
        wait_until(
            lambda: all(log.acked_since(p, 0.0) for p in range(PARTITIONS)), 30, "first acks"
        )
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.4))  # the moment of the kill is what is random
            target = TARGETS[kill] if kill < len(TARGETS) else chance.choice(TARGETS)
            struck = time.monotonic()
            if target == "everything":
                broker.kill_all()
                struck = time.monotonic()
                broker.start()
            else:
                broker.kill(target)
            if target == "fb-controller":
                wait_until(
                    lambda n=kill: can_create_topic(admin, f"after-{n}"),  # type: ignore[misc]
                    SERVING_DEADLINE_S,
                    "a topic to be created after the controller died",
                )
                hit = []
            elif target == "everything":
                hit = list(range(PARTITIONS))
            else:
                number = int(target.rsplit("-", 1)[1])
                hit = [p for p, worker in leader_of.items() if worker == number]
            wait_until(
                lambda s=struck, h=hit: all(log.acked_since(p, s) for p in h),  # type: ignore[misc]
                SERVING_DEADLINE_S,
                f"acknowledgements after kill {kill} of {target}",
            )
            took[target].append(time.monotonic() - struck)
            print(f"kill {kill + 1:3} {target:14} serving again {took[target][-1] * 1000:7.0f} ms")
            # The others went on meanwhile, or do now: nothing is stuck after any kill.
            wait_until(
                lambda s=struck: all(log.acked_since(p, s) for p in range(PARTITIONS)),  # type: ignore[misc]
                SERVING_DEADLINE_S,
                f"all partitions after kill {kill} of {target}",
            )
        log.stop()
        assert not log.failures, log.failures[:5]
        assert len(log.acks) > 20 * KILLS, "too little was produced to show anything"
        check(log.acks, read_back(broker.bootstrap, "numbers", PARTITIONS))
        assert broker.stop() == 0
    finally:
        broker.stop()
    print(f"{len(log.acks)} acknowledged records read back, seed {SEED}, {KILLS} kills")
    for target, times in took.items():
        if times:
            middle, worst = statistics.median(times) * 1000, max(times) * 1000
            print(f"{target:14} n={len(times):3} median {middle:6.0f} ms  max {worst:6.0f} ms")
