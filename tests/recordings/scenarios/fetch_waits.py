"""Fetch requests that wait, and what ends the wait."""
from __future__ import annotations

from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Steps, scenario
from tests.recordings.scenarios.fetch import fetch
from tests.recordings.scenarios.prepare import records, topic

LONG_MS = 8_000


@scenario(FetchRequest)
def waits(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    size = len(batch([b"a"]))
    long = {"max_wait_ms": LONG_MS, "connection": "b", "receives": False}
    yield fetch(s, None, t, 0, {"partition": 1}, **long)
    yield from records(s, t[0], batch([b"a"]), partition=1)
    yield s.receive("a record arrives", "b")
    yield fetch(s, None, t, 0, min_bytes=2 * size, **long)
    yield from records(s, t[0], batch([b"a"]))
    yield from records(s, t[0], batch([b"b"]))
    yield s.receive("a second one, and it is enough", "b")
    yield fetch(s, "an error waits for nothing", t, 2, {"partition": 9}, max_wait_ms=LONG_MS)
    yield fetch(s, "nor does an offset beyond", t, 7, {"partition": 1}, max_wait_ms=LONG_MS)
    yield fetch(s, "negative min_bytes", t, 2, min_bytes=-1, max_wait_ms=LONG_MS)
    yield fetch(s, None, t, 2, **(long | {"max_wait_ms": 2_000}))
    yield s.ask(None, DeleteTopicsRequest, at=4, topic_names=[t[0]], timeout_ms=5000)
    yield s.receive("the topic is deleted", "b")
