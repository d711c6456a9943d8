"""Consume, transform, produce, exactly once: three instances of a real client under faults.

    pytest tests/eos -s                                   a few faults of each kind
    FASTBROKER_FAULTS=200 FASTBROKER_SEED=7 pytest tests/eos/test_pipelines.py -s -k kafkajs
    FASTBROKER_EOS_BROKER=kafka pytest tests/eos -s       the same with Apache Kafka: the harness

Instances are killed, and frozen until they are zombies; workers, the controller and everything are
killed. In the end every input has had its effect once, in the order of its key, for readers of all
kinds, the history has none of the anomalies of tests/history, and no transaction hangs.
"""
from __future__ import annotations

import os
import pathlib

import pytest

from tests.eos.brokers import broker_for
from tests.eos.clients import PIPELINES, Pipeline
from tests.eos.run import SETTINGS, Run

FAULTS = int(os.environ.get("FASTBROKER_FAULTS", "4"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
RATE = float(os.environ.get("FASTBROKER_RATE", "120"))


@pytest.mark.crash
@pytest.mark.interop
@pytest.mark.timeout(300 + 60 * FAULTS)
@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_each_input_has_its_effect_once(pipeline: Pipeline, tmp_path: pathlib.Path) -> None:
    broker = broker_for(tmp_path / "broker", SETTINGS)
    seed = SEED + PIPELINES.index(pipeline)  # short runs of all see all kinds of faults
    run = Run(pipeline, broker, tmp_path, seed, RATE)
    print(f"\n{pipeline.name}, seed {seed}, {FAULTS} faults: {tmp_path}", flush=True)
    try:
        print(run.go(FAULTS), flush=True)
    finally:
        broker.stop()
