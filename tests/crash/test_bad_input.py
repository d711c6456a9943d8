"""Whatever strangers send, one worker stays up and bounded, says why, and serves the others.

A bystander (bystander.py) produces, consumes and asks all the time, on the same worker. After every
test: same processes, files closed again, memory below RSS_MAX, the bystander's slowest answers
below STALL_MAX_MS, nothing of its own failed. In the end all it was promised is read back.
"""
from __future__ import annotations

import contextlib
import pathlib
import random
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from fastbroker.errors import MessageTooLarge
from fastbroker.log_rate import BURST
from fastbroker.protocol.header import encode_request
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.protocol.schema import Struct
from tests.broker_process import BrokerProcess, wait_until
from tests.crash.attack import (
    DEADLINE_S,
    Attack,
    frame,
    is_closed,
    is_open,
    many,
    raise_file_limit,
)
from tests.crash.bystander import Bystander
from tests.recordings.batches import batch
from tests.recordings.connection import Connection

pytestmark = pytest.mark.crash

MEGABYTE = 1 << 20
RECEIVE_BYTES = 64 * MEGABYTE
SETTINGS = (
    f"queued.max.request.bytes={RECEIVE_BYTES}",
    "auto.create.topics.enable=false",
    "log.flush.interval.messages=1",
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    assert raise_file_limit(4000), "this test holds 1000 connections"
    path: pathlib.Path = tmp_path_factory.mktemp("attacked")
    with BrokerProcess(path, workers=1, settings=SETTINGS) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        made = admin.create_topics(
            [NewTopic("calm", 1, 1), NewTopic("target", 1, 1), NewTopic("wide", 60, 1),
             NewTopic("large", 1, 1, config={"max.message.bytes": str(100 * MEGABYTE)})]
        )  # fmt: skip
        for future in made.values():
            future.result()
        yield broker


@pytest.fixture(scope="module")
def bystander(broker: BrokerProcess) -> Iterator[Bystander]:
    bystander = Bystander(broker.bootstrap, "calm")
    try:
        wait_until(lambda: bystander.lap().consumed > 10, DEADLINE_S, "the bystander to be at work")
        yield bystander
        assert bystander.finish() > 100
    finally:
        bystander.close()


@pytest.fixture(scope="module")
def long_attack(broker: BrokerProcess, bystander: Bystander) -> Attack:
    return Attack(broker, bystander)


@pytest.fixture
def attack(long_attack: Attack, request: pytest.FixtureRequest) -> Iterator[Attack]:
    """The attack, with its checks behind every test."""
    long_attack.bystander.lap()
    long_attack.highest_rss = 0
    yield long_attack
    lap = long_attack.over()
    print(
        f"{request.node.name}: slowest ping {lap.slowest_ping_ms:.0f} ms, slowest ack"
        f" {lap.slowest_ack_ms:.0f} ms, {long_attack.highest_rss >> 20} MiB"
    )


def bytes_of(request: Struct, version: int, client: str = "evil") -> bytes:
    return b"".join(map(bytes, encode_request(request, version, 1, client)))  # type: ignore[arg-type]


# ---- frames


@pytest.mark.parametrize("size", [2**31 - 1, -1, -(2**31), 104857601])
def test_an_impossible_size_is_refused_by_name(attack: Attack, size: int) -> None:
    attack.refused(struct.pack(">i", size) + b"x" * 100, f"a frame of {size} bytes was announced")


@pytest.mark.parametrize("size", range(10))
def test_a_frame_too_short_for_a_header(attack: Attack, size: int) -> None:
    attack.refused(struct.pack(">i", size) + b"\0" * size, f"request of {size} bytes has no header")


@pytest.mark.parametrize("length", [-2, -32768, 5, 32767])
def test_a_client_id_that_is_not_there(attack: Attack, length: int) -> None:
    data = struct.pack(">ihhih", 12, 3, 4, 1, length) + b"ab"
    attack.refused(data, f"a client id of {length} bytes")


def test_a_client_id_that_is_no_text_is_served_nevertheless(attack: Attack) -> None:
    with attack.connect() as connection:
        connection.settimeout(DEADLINE_S)
        connection.sendall(frame(18, 0, client=b"\xff\xfe"))
        assert connection.recv(8)[4:] == b"\0\0\0\1"


def test_truncated_frames(attack: Attack) -> None:
    whole = bytes_of(MetadataRequest(topics=[]), 9)
    host = attack.host()
    waiting = []
    for cut in range(1, len(whole)):
        with attack.connect(host) as gone:
            gone.sendall(whole[:cut])
        waiting.append(attack.connect(host))
        waiting[-1].sendall(whole[:cut])
    for cut, connection in enumerate(waiting, start=1):
        connection.sendall(whole[cut:])  # the rest comes late, and is answered
        connection.settimeout(DEADLINE_S)
        assert connection.recv(4, socket.MSG_WAITALL), cut
        connection.close()


def test_garbage_of_many_sizes(attack: Attack) -> None:
    chance = random.Random(11)
    hosts = [attack.host() for _ in range(4)]
    for turn in range(400):
        size = chance.choice((1, 3, 4, 5, 13, 14, 100, 1000, 65_536, 300_000))
        data = chance.randbytes(size)
        if turn % 2:  # a size that holds, so that the rest is looked at
            key, version = chance.randrange(-1, 93), chance.randrange(-1, 20)
            data = struct.pack(">ihhih", size + 10, key, version, 1, -1) + data
        with attack.connect(hosts[turn % 4]) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if turn % 8 == 1:
                connection.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    connection.recv(1000)
    attack.look()


@pytest.mark.parametrize(
    ("count", "said"),
    [(-2, "has length -2"), (2**31 - 1, "announces 2147483647 items"),
     (50_000_000, "announces 50000000 items"), (1000, "announces 1000 items")],
)  # fmt: skip
def test_an_array_that_is_not_there(attack: Attack, count: int, said: str) -> None:
    attack.refused(frame(3, 4, struct.pack(">i", count) + bytes(50)), said)


def test_bytes_that_are_not_there(attack: Attack) -> None:
    head = struct.pack(">hhi", -1, 1, 1000) + struct.pack(">ih", 1, 6) + b"target"
    for length in (-2, 1000, 2**31 - 1):
        body = head + struct.pack(">iii", 1, 0, length) + bytes(100)
        attack.refused(frame(0, 3, body), f"Produce v3: records.*{length}")


# ---- APIs


@pytest.mark.parametrize(("key", "version"), [(999, 0), (-1, 0), (0, 2), (1, 99), (52, 1), (3, -1)])
def test_what_is_not_served_is_told_with_names(attack: Attack, key: int, version: int) -> None:
    host = attack.host()
    with attack.connect(host) as connection:
        hello = ApiVersionsRequest(client_software_name="evilsoft", client_software_version="6.6")
        connection.sendall(bytes_of(hello, 3))
        (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
        connection.recv(size, socket.MSG_WAITALL)
        connection.sendall(frame(key, version, bytes(20)))
        assert is_closed(connection)
    attack.logged(rf"{host}.*evilsoft 6\.6.*'evil'.*\(key {key}\) v{version} ")


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(attack: Attack) -> None:
    connection = Connection("127.0.0.1", attack.broker.port)
    connection.send_raw(frame(18, 77, b"\0\1\2\3")[4:], ApiVersionsResponse, 0)
    answer, _ = connection.receive(DEADLINE_S)
    assert answer.error_code == 35
    assert [one.api_key for one in answer.api_keys] == [18]
    connection.close()


# ---- batches


def produce(records: bytes, topic: str = "target", acks: int = -1) -> ProduceRequest:
    part = ProduceRequest.TopicProduceData.PartitionProduceData(index=0, records=records)
    data = ProduceRequest.TopicProduceData(name=topic, partition_data=[part])
    return ProduceRequest(acks=acks, timeout_ms=10_000, topic_data=[data])


def answered(attack: Attack, request: ProduceRequest) -> tuple[int, str | None]:
    """The error that one partition gets."""
    connection = Connection("127.0.0.1", attack.broker.port)
    try:
        connection.send(request, 9, client_id="evil", answered=True)
        (topic,) = connection.receive(DEADLINE_S)[0].responses
        (partition,) = topic.partition_responses
        return partition.error_code, partition.error_message
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"crc_error": 1}, 2), ({"count": 2}, 87), ({"count": 2**31 - 1}, 87), ({"count": -5}, 87),
     ({"last_offset_delta": 7}, 87), ({"count": 9, "last_offset_delta": 8}, 87),
     ({"length": 10}, 2), ({"length": 2**31 - 1}, 87), ({"length": -1}, 2), ({"magic": 1}, 87),
     ({"attributes": 7}, 87), ({"attributes": 32}, 87), ({"attributes": 4}, 87)],
)  # fmt: skip
def test_batches_that_lie(attack: Attack, wrong: dict[str, Any], code: int) -> None:
    error, message = answered(attack, produce(batch([b"value"], **wrong)))
    assert error == code, (error, message)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_garbage(attack: Attack, codec: str) -> None:
    good = batch([b"value" * 100, b"x" * 1000], codec=codec)
    chance = random.Random(codec)
    for turn in range(30):
        body = bytearray(good[61:])
        if turn % 3:
            body = bytearray(chance.randbytes(chance.choice((0, 1, 5, 100, 3000))))
        else:
            body[chance.randrange(len(body))] ^= 0xFF
        error, _ = answered(attack, produce(with_body(good, bytes(body))))
        assert error in (2, 87, 10, 0)  # 0: what was changed is not covered by the codec's own sums


def with_body(good: bytes, body: bytes) -> bytes:
    """The batch `good` with another body, size and CRC."""
    import crc32c

    tail = good[21:61] + body
    head = good[:8] + struct.pack(">i", len(tail) + 9) + good[12:17]
    return head + struct.pack(">I", crc32c.crc32c(tail)) + tail


def bomb(codec: str, size: int) -> bytes:
    """One record of `size` zeros in a batch that is as small as the codec can make it."""
    import zlib

    import lz4.frame
    import zstandard

    from tests.recordings.batches import varint

    inner = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    first = varint(len(inner) + size + 1) + inner
    blocks = [bytes(4 * MEGABYTE)] * (size // (4 * MEGABYTE)) + [b"\0"]  # no headers
    if codec == "zstd":
        compressor: Any = zstandard.ZstdCompressor(level=1).compressobj()
        out = [compressor.compress(first), *map(compressor.compress, blocks), compressor.flush()]
    elif codec == "gzip":
        compressor = zlib.compressobj(6, wbits=31)
        out = [compressor.compress(first), *map(compressor.compress, blocks), compressor.flush()]
    elif codec == "lz4":
        with lz4.frame.LZ4FrameCompressor(block_size=lz4.frame.BLOCKSIZE_MAX4MB) as framed:
            out = [framed.begin(), framed.compress(first)]
            out += [*map(framed.compress, blocks), framed.flush()]
    else:
        import snappy

        zeros = snappy.compress(bytes(32 * MEGABYTE))
        head = snappy.compress(first)
        out = [b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1), struct.pack(">i", len(head)), head]
        out += [struct.pack(">i", len(zeros)), zeros] * (size // (32 * MEGABYTE))
        out += [struct.pack(">i", 3), snappy.compress(b"\0")]
    good = batch([b"value"], codec=codec)
    return with_body(good, b"".join(out))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_gigabyte_of_zeros(attack: Attack, codec: str) -> None:
    size = 1024 * MEGABYTE if codec in ("lz4", "zstd") else 512 * MEGABYTE
    data = bomb(codec, size)
    attack.bystander.lap()  # what it cost to make is not the broker's
    for topic in ("target", "large"):
        error, message = answered(attack, produce(data, topic))
        assert error == MessageTooLarge.code, message
        attack.look()


def test_a_request_of_100_mib(attack: Attack) -> None:
    data = batch([random.Random(1).randbytes(80 * MEGABYTE)])
    attack.bystander.lap()
    assert answered(attack, produce(data, "large"))[0] == 0
    assert answered(attack, produce(data, "target"))[0] == 10
    attack.look()


# ---- a lot at once


def ask(attack: Attack, request: Struct, version: int) -> Any:
    connection = Connection("127.0.0.1", attack.broker.port)
    try:
        connection.send(request, version, client_id="evil", answered=True)
        return connection.receive(DEADLINE_S)[0]
    finally:
        connection.close()


def new_topics(prefix: str, count: int, partitions: int) -> CreateTopicsRequest:
    Topic = CreateTopicsRequest.CreatableTopic
    return CreateTopicsRequest(
        timeout_ms=10_000,
        topics=[
            Topic(
                name=f"{prefix}-{n}", num_partitions=partitions, replication_factor=1,
                assignments=[], configs=[],
            )
            for n in range(count)
        ],
    )  # fmt: skip


def test_a_request_of_many_items(attack: Attack) -> None:
    Topic = MetadataRequest.MetadataRequestTopic
    topics = [Topic(name=f"{n:x}") for n in range(240_000)]
    answer = ask(attack, MetadataRequest(topics=topics), 4)
    assert len(answer.topics) == 240_000
    attack.refused(bytes_of(MetadataRequest(topics=topics * 2), 4), "more array items")


@pytest.mark.parametrize(("count", "partitions"), [(1, 100_000), (10_001, 1), (200_000, 1)])
def test_too_many_new_partitions(attack: Attack, count: int, partitions: int) -> None:
    answer = ask(attack, new_topics("much", count, partitions), 5)
    assert {topic.error_code for topic in answer.topics} == {44}


# ---- crowds


def test_a_thousand_idle_connections(attack: Attack) -> None:
    with many(attack, 1000) as connections:
        attack.look()
        assert is_open(connections[0])
        assert is_open(connections[-1])


def test_a_thousand_large_frames_that_never_end(attack: Attack) -> None:
    """Each announces 10 MiB and sends what the broker takes, up to half."""
    piece = struct.pack(">i", 10 * MEGABYTE) + bytes(256 * 1024 - 4)
    taken = 0
    with many(attack, 1000) as connections:
        for connection in connections:
            connection.setblocking(False)
        for _ in range(4):
            for connection in connections:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    taken += connection.send(piece)
            piece = bytes(256 * 1024)
            attack.look()
        assert taken > 2 * RECEIVE_BYTES, "more was sent than the broker takes"
        # What fits into a small buffer is served at once, larger requests once there is memory.
        assert answered(attack, produce(batch([b"x" * 30_000]), "large"))[0] == 0
        begun = time.monotonic()
        assert answered(attack, produce(batch([bytes(3 * MEGABYTE)]), "large"))[0] == 0
        assert time.monotonic() - begun < 10
        attack.look()
    attack.logged("while receive memory is short")


def fetch_all(partitions: int) -> bytes:
    """A fetch of everything in `large`, many times over."""
    part = FetchRequest.FetchTopic.FetchPartition(
        partition=0, fetch_offset=0, partition_max_bytes=30_000
    )
    topic = FetchRequest.FetchTopic(topic="large", partitions=[part] * partitions)
    whole = FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=2**31 - 1, topics=[topic])
    return bytes_of(whole, 11)


def test_readers_that_do_not_read(attack: Attack) -> None:
    """50 connections fetch 55 MiB each, again and again, in pieces too small for sendfile."""
    request = fetch_all(3000)
    assert answered(attack, produce(batch([bytes(8 * MEGABYTE)]), "large"))[0] == 0
    with many(attack, 50) as connections:
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
        for _ in range(10):
            for connection in connections:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    connection.send(request)
            attack.look()
        time.sleep(0.5)
        attack.look()


def test_ten_thousand_requests_that_nobody_reads_the_answers_of(attack: Attack) -> None:
    """About 16 MB of answers: more than the sockets hold."""
    wide = MetadataRequest.MetadataRequestTopic(name="wide")
    data = memoryview(bytes_of(MetadataRequest(topics=[wide]), 9) * 10_000)
    with attack.connect() as connection:
        connection.setblocking(False)
        sent = 0
        end = time.monotonic() + 1
        while sent < len(data) and time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                sent += connection.send(data[sent : sent + 100_000])
            time.sleep(0.001)
        attack.look()
        # Nothing of it is lost: whoever reads at last gets one answer for each.
        got, at, answers = bytearray(), 0, 0
        while answers < 10_000:
            if sent < len(data):
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sent += connection.send(data[sent : sent + 100_000])
            connection.settimeout(DEADLINE_S)
            got += connection.recv(MEGABYTE)
            while len(got) - at >= 4:
                (size,) = struct.unpack_from(">i", got, at)
                if len(got) - at < size + 4:
                    break
                at += size + 4
                answers += 1
    assert len(got) > 14 * MEGABYTE


def test_errors_without_answers_close_the_connection(attack: Attack) -> None:
    lie = bytes_of(produce(batch([b"value"], crc_error=1), acks=0), 9)
    attack.refused(lie, "acks=0.*CORRUPT_MESSAGE")


def test_a_flood_of_bad_connections_writes_few_lines(attack: Attack) -> None:
    host = attack.host()
    begun = time.monotonic()
    for _ in range(2_500):  # a socket's close takes longer here than the broker's line
        with attack.connect(host) as connection:
            connection.sendall(b"\x7f\xff\xff\xff")
    with attack.connect() as connection:
        assert is_open(connection)
    took = time.monotonic() - begun
    lines = [line for line in attack.broker.lines if f"'{host}'" in line]
    assert 0 < len(lines) <= BURST + took + 1


def test_connections_reset_at_once(attack: Attack) -> None:
    host = attack.host()
    for _ in range(1_000):
        connection = attack.connect(host)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    with attack.connect() as connection:
        assert is_open(connection)


def test_many_new_topics(attack: Attack) -> None:
    answer = ask(attack, new_topics("many", 3000, 1), 5)
    assert {topic.error_code for topic in answer.topics} == {0}
    wait_until(
        lambda: len(ask(attack, MetadataRequest(topics=None), 9).topics) > 3000,
        DEADLINE_S, "the topics to be there",
    )  # fmt: skip
    attack.files += 3000  # a log keeps its file open
