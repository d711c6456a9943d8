"""How many groups a broker coordinates, and in which states they are."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.handlers.context import Broker
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples

STEP = 64  # groups between two chances to let others in


def add_groups(samples: Samples, broker: Broker) -> Iterator[None]:
    """Add samples of all groups together; each has its own elsewhere, see lag.py."""
    states: Counter[tuple[str, str]] = Counter()
    members: Counter[str] = Counter()
    if broker.has_groups:
        for at, group in enumerate(broker.groups.groups()):
            if isinstance(group, ConsumerGroup):
                protocol, count = "consumer", len(group.members)
            else:
                protocol, count = "classic", len(group.roster)
            states[protocol, str(group.state)] += 1
            members[protocol] += count
            if at % STEP == STEP - 1:
                yield
    samples.value(c.NUM_GROUPS, states.total())
    for (protocol, state), count in states.items():
        samples.value(c.GROUPS, count, protocol=protocol, state=state)
    for protocol, count in members.items():
        samples.value(c.GROUP_MEMBERS, count, protocol=protocol)
    yield
