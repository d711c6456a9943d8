"""What cannot be handled is set aside, at once or after some tries; the rest goes on."""
from __future__ import annotations

import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.broker_process import wait_until
from tests.interop.broker import Broker
from tests.interop.starts.programs import started
from tests.interop.starts.topic import DEADLINE_S, Topic, ids, order

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

POISON = [b"no order at all", b'{"id": "seven"}']


def headers(message: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers()}


def wait_until_committed(topic: Topic, group: str) -> None:
    end = topic.ends()
    wait_until(lambda: topic.committed(group) == end, DEADLINE_S, "all to be committed")


@pytest.mark.parametrize("program", ["node/dead_letters.js", "python/dead_letters.py"])
def test_what_cannot_be_read_is_set_aside(broker: Broker, program: str) -> None:
    topic = Topic(broker.bootstrap, "poisoned", partitions=2)
    values = [*map(order, range(10)), *POISON, *map(order, range(10, 20))]
    group = f"{topic.name}-group"
    topic.fill(values)
    with started(program, broker.bootstrap, topic.name, group) as process:
        wait_until_committed(topic, group)
        lines = process.stop()
    assert sorted(lines) == sorted(f"order {n} is on its way" for n in range(20))
    sources = {one.value(): one for one in topic.everything()}
    dead = topic.everything(beside=".dead-letters")
    assert sorted(one.value() for one in dead) == sorted(POISON)
    for one in dead:
        source, said = sources[one.value()], headers(one)
        assert one.key() == source.key()
        assert "Error: " in said.pop("error")
        assert said == {
            "sent-by": "a test",
            "original-topic": topic.name,
            "original-partition": str(source.partition()),
            "original-offset": str(source.offset()),
        }


class Service(ThreadingHTTPServer):
    """Answers the posts of an order with the statuses in `answers`, the last one again and again.

    An order that it does not know of it takes. `asked` has the times at which each was posted.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.answers: dict[int, list[int]] = {}
        self.asked: dict[int, list[float]] = defaultdict(list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Post(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["id"]
        asked = self.server.asked[number]
        asked.append(time.monotonic())
        statuses = self.server.answers.get(number, [200])
        self.send_response(statuses[min(len(asked), len(statuses)) - 1])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("program", ["node/retry.js", "python/retry.py"])
def test_retries_wait_longer_each_time_and_end(
    broker: Broker, service: Service, program: str
) -> None:
    topic = Topic(broker.bootstrap, "retried", partitions=1)
    group = f"{topic.name}-group"
    topic.fill(map(order, range(5)))
    service.answers = {1: [503]}
    with started(program, broker.bootstrap, service.url, topic.name, group) as process:
        wait_until(lambda: service.asked[1], DEADLINE_S, "the first attempt")
        process.stop()
    # A stop does not wait for all attempts, and the order is not lost by it.
    assert topic.committed(group) == {0: 1}

    service.asked.clear()
    service.answers = {1: [503, 500, 200], 2: [503], 3: [400]}
    with started(program, broker.bootstrap, service.url, topic.name, group) as process:
        wait_until_committed(topic, group)
        process.stop()
    assert {n: len(asked) for n, asked in service.asked.items()} == {1: 3, 2: 5, 3: 1, 4: 1}
    asked = service.asked[2]
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert all(wait >= least for wait, least in zip(waits, [0.2, 0.4, 0.8, 1.6], strict=True))
    assert waits == sorted(waits)
    dead = topic.everything(beside=".dead-letters")
    assert ids(dead) == [2, 3]
    origin = {"sent-by": "a test", "original-topic": topic.name, "original-partition": "0"}
    assert [headers(one) for one in dead] == [
        {**origin, "error": "status 503", "attempts": "5", "original-offset": "2"},
        {**origin, "error": "status 400", "attempts": "1", "original-offset": "3"},
    ]
