"""What a topic's record batches say of themselves, fetched as they are stored.

No client shows the codec of a batch; here Fetch is spoken directly, and of its answer only the
headers of batches are read:

    batch := base_offset:int64 length:int32 leader_epoch:int32 magic:int8 crc:int32 attributes:int16
             ...                                  (length counts from leader_epoch on)
"""
from __future__ import annotations

import socket
import struct
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.schema import Struct

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
METADATA, FETCH, CLIENT = 4, 4, "interop"
MAX_BYTES = 1 << 22
ATTRIBUTES_AT, LENGTH_AT, HEAD = 21, 8, 12

# Their types ask for the fields of all versions; these are for two old and short ones.
_METADATA: Any = MetadataRequest
_ASKED: Any = MetadataRequest.MetadataRequestTopic
_FETCH: Any = FetchRequest
_TOPIC: Any = FetchRequest.FetchTopic
_PARTITION: Any = FetchRequest.FetchTopic.FetchPartition


class Connection:
    """A connection that asks one question at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), 10)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def ask(self, request: Struct, version: int) -> Any:
        """The response to `request`."""
        parts: list[Any] = encode_request(request, version, 1, CLIENT)
        self._socket.sendall(b"".join(parts))
        (size,) = struct.unpack(">i", self._answers.read(4))
        _, body = decode_response(type(request), version, memoryview(self._answers.read(size)))
        return body


def codecs_of(bootstrap: str, topics: Sequence[str]) -> dict[str, set[str]]:
    """The names of the codecs that batches of `topics` are compressed with."""
    host, _, port = bootstrap.rpartition(":")
    with Connection(host, int(port)) as connection:
        asked = [_ASKED(name=topic) for topic in topics]
        metadata = connection.ask(_METADATA(topics=asked), METADATA)
    out: dict[str, set[str]] = defaultdict(set)
    for broker in metadata.brokers:
        with Connection(broker.host, broker.port) as connection:
            for topic in metadata.topics:
                for partition in topic.partitions:
                    if partition.leader_id == broker.node_id:
                        found = _codecs(connection, topic.name, partition.partition_index)
                        out[topic.name] |= found
    return out


def _codecs(connection: Connection, topic: str, partition: int) -> set[str]:
    wanted = _PARTITION(partition=partition, fetch_offset=0, partition_max_bytes=MAX_BYTES)
    topics = [_TOPIC(topic=topic, partitions=[wanted])]
    request = _FETCH(
        max_wait_ms=0, min_bytes=0, max_bytes=MAX_BYTES, isolation_level=0, topics=topics
    )
    data = connection.ask(request, FETCH).responses[0].partitions[0].records or b""
    out, at = set(), 0
    while at + ATTRIBUTES_AT + 2 <= len(data):
        (attributes,) = struct.unpack_from(">h", data, at + ATTRIBUTES_AT)
        out.add(CODECS[attributes & 7])
        at += HEAD + struct.unpack_from(">i", data, at + LENGTH_AT)[0]
    return out
