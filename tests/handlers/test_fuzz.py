"""Requests of every API and version with random fields, sound and damaged, against a real broker.

Whatever is asked, nothing but Kafka's errors and closed connections may come of it: an exception
that nobody expected leaves a traceback in the log or a dead process, and fails the test. What the
fields hold is likely to be something that exists: a topic, a group, a member; or almost.

    FASTBROKER_FUZZ=100000 FASTBROKER_SEED=7 pytest tests/handlers/test_fuzz.py
"""
from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import random
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fastbroker._c.codec import Kind
from fastbroker.config.topic import TOPIC_KEYS
from fastbroker.errors import UnknownServerError
from fastbroker.handlers.served import SERVED
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.schema import Field, Struct
from tests.broker_process import BrokerProcess
from tests.protocol.random_messages import Maker
from tests.protocol.test_mutations import damage
from tests.recordings.batches import batch
from tests.recordings.connection import Connection

REQUESTS = int(os.environ.get("FASTBROKER_FUZZ", "6000"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
CONNECTIONS, SOUND = 12, 9
DUE_MAX = 20  # answers that a connection may owe before it is waited for
PATIENCE_S = 0.15
DEADLINE_S = 20.0

TOPICS = (
    "fuzz", "fuzz", "fuzz-2", "compact", "__consumer_offsets", "nobody", "", ".", "a b", "y" * 300,
)  # fmt: skip
GROUPS = ("group", "group", "group-2", "", "g" * 40_000)
NUMBERS = (-1, 0, 0, 0, 1, 2, 5, 2**31 - 1, -(2**31))
OFFSETS = (-(2**63), -5, -4, -3, -2, -1, 0, 1, 2, 10, 2**40, 2**63 - 1)
COUNTS = (-2, -1, 0, 1, 2, 3, 10_001, 2**31 - 1)
BROKERS = (1, 1, 1001, 0, -1, 7)
CONFIG_VALUES = ("", "0", "-1", "1", "compact", "delete", "10000000", "true", "x", "9" * 30)


class Likely:
    """Values for fields by their names, mostly of things that the broker has."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.ids: list[bytes] = [bytes(16)]
        self.members: list[str] = ["", "member"]

    def __call__(self, name: str, field: Field, chance: random.Random) -> Any:
        if chance.random() < 0.08:
            return NotImplemented
        kind = field.kind
        if kind == Kind.UUID:
            return chance.choice(self.ids)
        if kind == Kind.BYTES:
            return self._bytes(name)
        if kind == Kind.ARRAY and isinstance(field.item, Field) and field.item.kind == Kind.STRING:
            pool = TOPICS if "topic" in name else GROUPS
            return [chance.choice(pool) for _ in range(chance.randrange(4))]
        if kind == Kind.STRING:
            return self._text(name)
        if kind in (Kind.I8, Kind.I16, Kind.I32, Kind.I64):
            return self._number(name, field)
        return NotImplemented

    def learn(self, answer: Any) -> None:
        """Remember ids that an answer tells of."""
        for one in (answer, *getattr(answer, "topics", ())):
            if isinstance(found := getattr(one, "topic_id", None), bytes):
                self.ids = [*self.ids[-20:], found]
            if isinstance(found := getattr(one, "member_id", None), str) and found:
                self.members = [*self.members[-20:], found]

    def _bytes(self, name: str) -> Any:
        chance = self.chance
        if name != "records":
            return NotImplemented
        good = batch(
            [b"value"] * chance.randint(1, 3),
            codec=chance.choice(("none", "none", "gzip", "lz4", "zstd", "snappy")),
            producer_id=chance.choice((-1, -1, 0, 1, 5)),
            producer_epoch=chance.choice((-1, 0, 1)),
            base_sequence=chance.choice((-1, 0, 1, 3, 2**31 - 1)),
            attributes=chance.choice((0, 0, 0, 8, 16, 32)),
        )
        return good if chance.random() < 0.6 else damage(good, chance)

    def _text(self, name: str) -> Any:
        chance = self.chance
        if "group" in name or name == "key":
            return chance.choice(GROUPS)
        if "member" in name:
            return chance.choice(self.members)
        if "protocol" in name or name == "assignor":
            return chance.choice(("consumer", "range", ""))
        if name == "resource_name":
            return chance.choice((*TOPICS, "1", "1001", ""))
        if name == "value":
            return chance.choice(CONFIG_VALUES)
        if "config" in name:
            return chance.choice(tuple(TOPIC_KEYS))
        if name in ("name", "topic", "topic_name"):
            return chance.choice(TOPICS if chance.random() < 0.8 else tuple(TOPIC_KEYS))
        return NotImplemented

    def _number(self, name: str, field: Field) -> Any:
        chance = self.chance
        if "timeout" in name or "wait" in name:
            return chance.choice((-1, 0, 1, 20, 100, 6000))
        if name in ("num_partitions", "count", "replication_factor"):
            return chance.choice(COUNTS) if field.kind == Kind.I32 else chance.choice((-1, 1, 2))
        if "offset" in name or "timestamp" in name:
            pool: tuple[int, ...] = OFFSETS
        elif "broker" in name or "node" in name or "replica" in name:
            pool = BROKERS
        elif name == "acks":
            pool = (-1, 0, 1, 2)
        elif "resource_type" in name or "key_type" in name or "operation" in name:
            pool = (0, 1, 2, 3, 4, 8, 16, 32)
        elif "epoch" in name or "generation" in name or "session" in name:
            pool = (-1, 0, 1, 2)
        else:
            pool = NUMBERS
        bits = {Kind.I8: 7, Kind.I16: 15, Kind.I32: 31, Kind.I64: 63}[field.kind]
        value = chance.choice(pool)
        return value if -(2**bits) <= value < 2**bits else NotImplemented


class Line:
    """One connection that does not wait for its answers."""

    def __init__(self, port: int, likely: Likely) -> None:
        self.port, self.likely = port, likely
        self.closed = self.given_up = 0
        self.answers: collections.Counter[str] = collections.Counter()
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        self.got = bytearray()
        self.due: collections.deque[tuple[Any, int, int]] = collections.deque()
        self.sent = 0

    def send(self, data: bytes, request: Any, version: int) -> None:
        """Send; `request`: the class whose answer is understood, None: the bytes are damaged."""
        if len(self.due) > DUE_MAX:
            self._catch_up()
        self.sent += 1
        self.due.append((request, version, self.sent))
        frame = data[:8] + struct.pack(">i", self.sent) + data[12:]
        self.socket.settimeout(DEADLINE_S)
        try:
            self.socket.sendall(struct.pack(">i", len(frame) - 4) + frame[4:])
            self.read()
        except ConnectionError:
            self.reopen()

    def _catch_up(self) -> None:
        """Wait a little for answers; a request that waits itself may hold back all the others."""
        end = time.monotonic() + PATIENCE_S
        try:
            while self.due and time.monotonic() < end:
                time.sleep(0.001)
                self.read()
        except ConnectionError:
            self.reopen()
        if len(self.due) > DUE_MAX:
            self.given_up += 1
            self.socket.close()
            self._open()

    def reopen(self) -> None:
        self.closed += 1
        self.socket.close()
        self._open()

    def read(self) -> None:
        """Take what has come."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                piece = self.socket.recv(1 << 18)
                if not piece:
                    raise ConnectionResetError
                self.got += piece
        while len(self.got) >= 4:
            (size,) = struct.unpack_from(">i", self.got)
            if len(self.got) < size + 4:
                break
            frame = bytes(self.got[4 : size + 4])
            del self.got[: size + 4]
            self._understand(frame)

    def _understand(self, frame: bytes) -> None:
        (number,) = struct.unpack_from(">i", frame)
        while self.due and self.due[0][2] < number:
            self.due.popleft()  # acks=0: never answered
        request, version, due = self.due.popleft()
        assert due == number, "answers are out of order"
        if request is not None:
            _, answer = decode_response(request, version, memoryview(frame))
            self.likely.learn(answer)
            self.answers[NAMES[request.KEY]] += 1
            assert UnknownServerError.code not in set(codes(answer)), answer


def codes(message: Any) -> Iterator[int]:
    """Every error code in an answer."""
    if isinstance(message, list):
        for one in message:
            yield from codes(one)
    elif isinstance(message, Struct):
        for name in type(message).FIELDS:
            value = getattr(message, name)
            if name.endswith("error_code"):
                yield value
            else:
                yield from codes(value)


def made_again(port: int) -> None:
    """The topics that requests name, which some of them delete."""
    connection = Connection("127.0.0.1", port)
    Topic = CreateTopicsRequest.CreatableTopic
    Config = Topic.CreatableTopicConfig
    topics = [
        Topic(name=name, num_partitions=3, replication_factor=1, assignments=[], configs=[])
        for name in ("fuzz", "fuzz-2", "compact")
    ]
    topics[-1].configs = [Config(name="cleanup.policy", value="compact")]
    request = CreateTopicsRequest(topics=topics, timeout_ms=5000)
    connection.send(request, 7, client_id="fuzz", answered=True)
    connection.receive(DEADLINE_S)
    connection.close()


@pytest.mark.crash
def test_nothing_that_is_asked_is_unexpected(tmp_path: pathlib.Path) -> None:
    chance = random.Random(SEED)
    likely = Likely(chance)
    maker = Maker(chance, likely)
    apis = [(key, v) for key, one in SERVED.items() for v in range(one.first, one.last + 1)]
    with BrokerProcess(tmp_path, workers=1) as broker:
        roles = broker.roles()
        made_again(broker.port)
        lines = [Line(broker.port, likely) for _ in range(CONNECTIONS)]
        begun = time.monotonic()
        for turn in range(REQUESTS):
            if turn % 500 == 499:
                made_again(broker.port)
            key, version = chance.choice(apis)
            request = maker.message(api(key).request, version)
            client = chance.choice(("fuzz", None, "", "ü" * 50))
            try:
                data = b"".join(map(bytes, encode_request(request, version, 1, client)))
            except ValueError:  # a string that only flexible versions can carry
                continue
            is_sound = chance.random() < 0.7
            if not is_sound:
                damaged = damage(data[12:], chance)
                data = data[:12] + damaged
            # Sound requests go their own way: a damaged one takes the answers of others with it.
            number = turn % SOUND if is_sound else SOUND + turn % (CONNECTIONS - SOUND)
            lines[number].send(data, type(request) if is_sound else None, version)
            bugs = [n for n, line in enumerate(broker.lines) if "Traceback" in line]
            assert not bugs, "\n".join(broker.lines[bugs[0] - 1 : bugs[0] + 40])
        took = time.monotonic() - begun
        connection = Connection("127.0.0.1", broker.port)
        connection.send(ApiVersionsRequest(), 0, client_id=None, answered=True)
        assert connection.receive(DEADLINE_S)[0].error_code == 0
        connection.close()
        for one in lines:
            one.socket.close()
        assert broker.roles() == roles, "a process has died"
        assert not [line for line in broker.lines if "Traceback" in line or "fenced" in line]
        answers = sum((one.answers for one in lines), collections.Counter())
        assert broker.stop() == 0
        assert not [line for line in broker.lines if "Traceback" in line]
    closed = sum(one.closed for one in lines)
    given_up = sum(one.given_up for one in lines)
    print(
        f"{REQUESTS} requests in {took:.1f} s, {answers.total()} answers, {closed} closed,"
        f" {given_up} given up"
    )
    print(dict(answers))
    assert set(answers) >= {NAMES[key] for key in SERVED} - {"Produce"}
