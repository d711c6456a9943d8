"""What the groups have committed that a broker coordinates: what the gateway makes lag of.

In marshal's format:

    answer := ({topic: (numbers, leaders)}, [(group, members, [(topic, offsets)*])*], untold)

numbers and leaders: int32*, of each partition of a topic; offsets: int64*, of the same, -1: none.
untold: how many groups are beyond fastbroker.metrics.groups.max.
"""
from __future__ import annotations

import marshal
from array import array
from itertools import repeat

from fastbroker.group.committed import committed as committed_offsets
from fastbroker.handlers.context import Broker
from fastbroker.net.answering import Steps

Topics = dict[str, tuple[bytes, bytes]]


def committed(broker: Broker, _: bytes) -> Steps:
    """What the groups that this broker coordinates have committed."""
    topics: Topics = {}
    numbers: dict[str, list[int]] = {}
    groups: list[tuple[str, int, list[tuple[str, bytes]]]] = []
    untold = 0
    if broker.has_groups:
        most = broker.config["fastbroker.metrics.groups.max"]
        for one in committed_offsets(broker.groups.shards, lambda name: _topic_id(broker, name)):
            yield None
            if one is None:
                continue
            if len(groups) >= most:
                untold += 1
                continue
            rows = []
            for topic, offsets in one.offsets.items():
                if topic not in topics:
                    found = broker.image.topics.get(topic)
                    if found is None:
                        continue
                    there = found.partitions
                    numbers[topic] = list(there)
                    leaders = array("i", [partition.leader for partition in there.values()])
                    topics[topic] = array("i", there).tobytes(), leaders.tobytes()
                told = array("q", map(offsets.get, numbers[topic], repeat(-1)))
                rows.append((topic, told.tobytes()))
            groups.append((one.group_id, one.members, rows))
    return marshal.dumps((topics, groups, untold))


def _topic_id(broker: Broker, name: str) -> bytes | None:
    topic = broker.image.topics.get(name)
    return None if topic is None else topic.id
