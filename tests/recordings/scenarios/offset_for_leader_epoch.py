"""OffsetForLeaderEpoch."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import records, topic


def ask(s: Scene, label: str, name: str, *partitions: dict[str, Any], **more: Any) -> Step:
    more = {"replica_id": -1} | more
    topics = [{"topic": name, "partitions": list(partitions)}]
    return s.ask(label, OffsetForLeaderEpochRequest, topics=topics, **more)


@scenario(OffsetForLeaderEpochRequest)
def epochs(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    yield ask(s, "an empty log, epoch 0", name, {"leader_epoch": 0})
    yield from records(s, name, batch([b"a", b"b"]))
    for epoch in (0, 1, 100, -1, -2):
        yield ask(s, f"epoch {epoch}", name, {"leader_epoch": epoch})
    for current in (0, 1, -1):
        yield ask(s, f"current epoch {current}", name,
                  {"leader_epoch": 0, "current_leader_epoch": current})  # fmt: skip
    yield ask(s, "as a replica", name, {"leader_epoch": 0}, replica_id=9)
    yield ask(s, "as a debugger", name, {"leader_epoch": 0}, replica_id=-2)
    yield ask(s, "an unknown topic", s.name("unknown"), {"leader_epoch": 0})
    yield ask(s, "an unknown partition", name, {"partition": 5, "leader_epoch": 0})
    yield ask(s, "one of two", name, {"leader_epoch": 0}, {"partition": 5, "leader_epoch": 0})
    yield ask(s, "no partition", name)
    yield s.ask("no topic", OffsetForLeaderEpochRequest, topics=[])
