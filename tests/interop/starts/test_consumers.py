"""The consumers commit what they have handled; a stop in the middle neither loses nor repeats."""
from __future__ import annotations

import re
import uuid
from collections import Counter

import pytest
from confluent_kafka import ConsumerGroupType

from tests.interop.broker import Broker
from tests.interop.starts.programs import started
from tests.interop.starts.topic import Topic, order

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

# More than the program and its pipe hold: it cannot be through when few lines were read.
COUNT, PARTITIONS = 5000, 4
READ = 500


def places(lines: list[str]) -> list[tuple[int, int]]:
    """Partition and offset of each record that was handled."""
    found = [re.match(r"\S+-(\d+)@(\d+) customer-\d+:? \{", line) for line in lines]
    return [(int(one[1]), int(one[2])) for one in found if one]


@pytest.mark.parametrize(
    ("program", "protocol"),
    [
        ("node/consumer.js", ConsumerGroupType.CLASSIC),
        ("node/consumer_next.js", ConsumerGroupType.CONSUMER),
        ("python/consumer.py", ConsumerGroupType.CLASSIC),
        ("python/asyncio_consumer.py", ConsumerGroupType.CLASSIC),
    ],
)
def test_a_consumer_is_stopped_and_goes_on(
    broker: Broker, program: str, protocol: ConsumerGroupType
) -> None:
    topic = Topic(broker.bootstrap, "read", partitions=PARTITIONS)
    group = f"{topic.name}-group"
    topic.fill(map(order, range(COUNT)), **{"compression.type": "snappy"})
    with started(program, broker.bootstrap, topic.name, group) as first:
        handled = places(first.lines(READ) + first.stop())
    assert READ <= len(handled) < COUNT
    done = Counter(partition for partition, _ in handled)
    assert topic.committed(group) == {n: done[n] for n in range(PARTITIONS)}

    with started(program, broker.bootstrap, topic.name, group) as second:
        handled += places(second.lines(COUNT - len(handled)) + second.stop())
    end = topic.ends()
    assert topic.committed(group) == end
    assert topic.protocol(group) == protocol
    assert sorted(handled) == [(n, offset) for n in range(PARTITIONS) for offset in range(end[n])]


@pytest.mark.parametrize("program", ["node/lag_alert.js", "python/lag_alert.py"])
def test_lag_is_told_above_the_limit_only(broker: Broker, program: str) -> None:
    topic = Topic(broker.bootstrap, "lag", partitions=2)
    group = f"{topic.name}-group"
    topic.fill(map(order, range(50)))
    with started("python/consumer.py", broker.bootstrap, topic.name, group) as consumer:
        assert len(consumer.lines(50)) == 50
        consumer.stop()
    before = topic.ends()
    topic.fill(map(order, range(30)))
    lag = {n: end - before[n] for n, end in topic.ends().items()}

    with started(program, broker.bootstrap, group, "30") as silent:
        assert silent.end() == (0, [])
    with started(program, broker.bootstrap, group, "29") as alert:
        status, (first, *rest) = alert.end()
    assert status == 1
    assert first == f"group {group} is 30 records behind, more than 29:"
    assert sorted(rest) == [f"  {topic.name}-{n}: {lag[n]}" for n in range(2)]


@pytest.mark.parametrize("program", ["node/lag_alert.js", "python/lag_alert.py"])
def test_a_lag_that_is_not_known_is_no_lag_of_zero(broker: Broker, program: str) -> None:
    with started(program, broker.bootstrap, f"nobody-{uuid.uuid4()}", "1000") as alert:
        assert alert.end() == (2, [])
        assert "has committed nothing" in alert.said()
