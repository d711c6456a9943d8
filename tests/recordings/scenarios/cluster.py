"""ApiVersions, DescribeCluster, DescribeLogDirs, InitProducerId, FindCoordinator."""
from __future__ import annotations

import struct
from typing import Any

from fastbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from fastbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from fastbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.recordings.scenario import Scene, Step, Steps, has, scenario
from tests.recordings.scenarios.prepare import records, topic

NOT_AVAILABLE = 15


@scenario(ApiVersionsRequest, versions=(0, 1, 2, 3, 4))
def versions(s: Scene) -> Steps:
    names = {"client_software_name": "recorder", "client_software_version": "1.0"}
    yield s.ask("all", ApiVersionsRequest, **(names if s.version >= 3 else {}))
    if s.version < 3:
        return
    for label, name, version in (
        ("an empty name", "", "1.0"), ("an empty version", "x", ""), ("a space", "a b", "1"),
        ("a dash at the end", "a-", "1"), ("not ASCII", "é", "1"), ("a dot at first", ".a", "1"),
        ("a name of dots and dashes", "a.b-c", "1.2-rc.3"),
    ):  # fmt: skip
        yield s.ask(label, ApiVersionsRequest, client_software_name=name,
                    client_software_version=version, keep=("error_code",))  # fmt: skip


def frame(key: int, version: int, body: bytes = b"", client: bytes = b"\0\4test") -> bytes:
    return struct.pack(">hhi", key, version, 1) + client + body


@scenario(ApiVersionsRequest, versions=(0,))
def unreadable(s: Scene) -> Steps:
    flexible = b"\0\2a\2b\0"  # no tags in the header, a name, a version, no tags
    yield s.raw("ApiVersions 99", frame(18, 99, flexible), ApiVersionsResponse)
    yield s.raw("ApiVersions -1", frame(18, -1), ApiVersionsResponse)
    yield s.raw("ApiVersions 5", frame(18, 5, flexible), ApiVersionsResponse)
    # Each on a connection of its own, which is closed.
    for i, (label, data) in enumerate(
        (
            ("an unknown key", frame(999, 0)),
            ("a negative key", frame(-1, 0)),
            ("a key of old, StopReplica", frame(5, 0)),
            ("a controller's key, Vote", frame(52, 0, b"\0\1\1\0")),
            ("Metadata 99", frame(3, 99)),
            ("Metadata -1", frame(3, -1)),
            ("Fetch 3", frame(1, 3)),
            ("Produce 2", frame(0, 2)),
            ("Heartbeat without a body", frame(12, 0)),
            ("a body that is cut", frame(12, 0, b"\0\5ab")),
            ("an array that is too long", frame(3, 0, b"\x7f\xff\xff\xff")),
            ("two bytes", b"\0\1"),
            ("no byte", b""),
            ("a client id that is too long", frame(18, 0, client=b"\x7f\xff")),
            ("a client id that is not UTF-8", frame(18, 0, client=b"\0\2\xff\xfe")),
        )
    ):
        yield s.raw(label, data, None, connection=str(i), patience_s=4.0)
    yield s.raw("bytes behind the body", frame(12, 0, b"\0\1g\0\0\0\0\0\1mXYZ"), None,
                patience_s=4.0, connection="more")  # fmt: skip
    yield s.raw("no client id", frame(18, 0, client=b"\xff\xff"), ApiVersionsResponse,
                keep=("error_code",))  # fmt: skip


@scenario(DescribeClusterRequest)
def describe(s: Scene) -> Steps:
    yield s.ask("it", DescribeClusterRequest)
    yield s.ask("what may be done", DescribeClusterRequest,
                include_cluster_authorized_operations=True)  # fmt: skip
    if has(DescribeClusterRequest, "endpoint_type", s.version):
        yield s.ask("controllers", DescribeClusterRequest, endpoint_type=2)
        yield s.ask("endpoint type 3", DescribeClusterRequest, endpoint_type=3)
        yield s.ask("endpoint type 0", DescribeClusterRequest, endpoint_type=0)
    if has(DescribeClusterRequest, "include_fenced_brokers", s.version):
        yield s.ask("fenced ones, too", DescribeClusterRequest, include_fenced_brokers=True)


@scenario(DescribeLogDirsRequest)
def log_dirs(s: Scene) -> Steps:
    name, _ = yield from topic(s, partitions=2)
    yield from records(s, name)

    def look(label: str, topics: dict[str, list[int]] | None, **more: Any) -> Step:
        full = topics and [{"topic": t, "partitions": p} for t, p in topics.items()]
        return s.ask(label, DescribeLogDirsRequest, topics=full, **more)

    yield look("a topic", {name: [0, 1]})
    yield look("a partition", {name: [0]})
    yield look("an unknown partition", {name: [0, 9]})
    yield look("an unknown topic", {s.name("unknown"): [0]})
    yield look("no partition", {name: []})
    yield s.ask("an empty list", DescribeLogDirsRequest, topics=[])
    yield look("a bad name", {"bad name!": [0]})


def init(s: Scene, label: str, **fields: Any) -> Step:
    fields = {"transactional_id": None, "transaction_timeout_ms": 60000} | fields
    return s.ask(label, InitProducerIdRequest, **fields)


@scenario(InitProducerIdRequest)
def producer_ids(s: Scene) -> Steps:
    yield init(s, None, until=lambda a: a.error_code == 0)
    first = yield init(s, "an id")
    second = yield init(s, "another")
    assert second.producer_id == first.producer_id + 1
    yield init(s, "a timeout that is ignored", transaction_timeout_ms=-1)
    yield init(s, "an empty transactional id", transactional_id="")
    if has(InitProducerIdRequest, "producer_id", s.version):
        yield init(s, "a known id and its epoch", producer_id=first.producer_id, producer_epoch=0)
        yield init(s, "a known id without epoch", producer_id=first.producer_id)
        yield init(s, "an epoch without id", producer_epoch=3)
        yield init(s, "an id that was never given", producer_id=987654, producer_epoch=5)
        yield init(s, "a negative id", producer_id=-2, producer_epoch=0)


@scenario(FindCoordinatorRequest, versions=(0, 1, 2, 3, 4, 5, 6))
def coordinators(s: Scene) -> Steps:
    def find(label: str | None, *keys: str, **more: Any) -> Step:
        one = {"key": keys[0] if keys else ""}
        many = {"coordinator_keys": list(keys)}
        return s.ask(label, FindCoordinatorRequest, **(many if s.version >= 4 else one), **more)

    def found(answer: Any) -> bool:
        """Its topic has been created, or will not be."""
        return all(c.error_code != NOT_AVAILABLE for c in answer.coordinators or [answer])

    group = s.name("g")
    yield find("a group", group, until=found)
    yield find("an empty group", "")
    if s.version >= 1:
        yield find("type 7", group, key_type=7)
        yield find("type -1", group, key_type=-1)
        yield find("a transactional id", s.name("t"), key_type=1, until=found)
        yield find("an empty transactional id", "", key_type=1)
        yield find("a share partition, not written as one", group, key_type=2)
    if s.version >= 4:
        yield find("two groups", group, s.name("h"))
        yield find("a group twice", group, group)
        yield find("no group")
