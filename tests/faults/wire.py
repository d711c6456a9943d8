"""A client that tries nothing twice: one answer to one request, with its error and message."""
from __future__ import annotations

import time
from typing import Any

from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
)
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import build_batch
from fastbroker.records.reader import iter_records
from tests.broker_process import BrokerProcess, wait_until
from tests.recordings.connection import Connection

PATIENCE_S = 15.0
READY_DEADLINE_S = 10.0
# Their types ask for the fields of all versions; these are for one each.
_PRODUCE: Any = ProduceRequest
_FETCH: Any = FetchRequest
_CREATE: Any = CreateTopicsRequest
_ALTER: Any = IncrementalAlterConfigsRequest
_COMMIT: Any = OffsetCommitRequest
_OFFSETS: Any = ListOffsetsRequest


class Wire:
    """One connection to the first worker of `broker`."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._connection = Connection("127.0.0.1", broker.port)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, request: Any, version: int) -> Any:
        """The answer to `request`."""
        self._connection.send(request, version, client_id="faults", answered=True)
        return self._connection.receive(PATIENCE_S)[0]

    def create(self, topic: str, **configs: str) -> None:
        """A topic of one partition that takes records."""
        assert self.try_to_create(topic, **configs) == 0
        wait_until(lambda: self.end_offset(topic) >= 0, READY_DEADLINE_S, f"a leader of {topic}")

    def try_to_create(self, topic: str, **configs: str) -> int:
        """The error code."""
        settings = [_CREATE.CreatableTopic.CreatableTopicConfig(name=k.replace("_", "."), value=v)
                    for k, v in configs.items()]  # fmt: skip
        asked = _CREATE.CreatableTopic(
            name=topic, num_partitions=1, replication_factor=1, configs=settings, assignments=[]
        )
        (made,) = self.ask(_CREATE(topics=[asked], timeout_ms=10_000), 7).topics
        return int(made.error_code)

    def configure(self, topic: str, number: int) -> int:
        """Change the topic's flush.ms, and with it the cluster's metadata; the error code."""
        Resource = _ALTER.AlterConfigsResource
        change = Resource.AlterableConfig(
            name="flush.ms", config_operation=0, value=str(10**9 + number)
        )
        asked = Resource(resource_type=2, resource_name=topic, configs=[change])
        return int(self.ask(_ALTER(resources=[asked]), 1).responses[0].error_code)

    def delete(self, topic: str) -> int:
        """The error code."""
        request = DeleteTopicsRequest(topic_names=[topic], timeout_ms=10_000)
        return int(self.ask(request, 5).responses[0].error_code)

    def produce(self, topic: str, *values: bytes, acks: int = -1) -> Any:
        """One batch to partition 0; the partition's part of the answer."""
        now = time.time_ns() // 1_000_000
        batch = build_batch([(b"k", value, (), now) for value in values])
        Topic = _PRODUCE.TopicProduceData
        part = Topic.PartitionProduceData(index=0, records=bytes(batch))
        asked = Topic(name=topic, partition_data=[part])
        request = _PRODUCE(acks=acks, timeout_ms=5000, topic_data=[asked])
        return self.ask(request, 9).responses[0].partition_responses[0]

    def fetch(self, topic: str, offset: int = 0, max_bytes: int = 1 << 20) -> Any:
        """Partition 0's part of the answer."""
        part = _FETCH.FetchTopic.FetchPartition(
            partition=0, fetch_offset=offset, partition_max_bytes=max_bytes
        )
        asked = _FETCH.FetchTopic(topic=topic, partitions=[part])
        request = _FETCH(replica_id=-1, max_wait_ms=0, max_bytes=max_bytes, topics=[asked])
        return self.ask(request, 11).responses[0].partitions[0]

    def values(self, topic: str) -> list[bytes]:
        """All records of partition 0, checked."""
        found: list[bytes] = []
        offset, end = 0, self.end_offset(topic)
        while offset < end:
            part = self.fetch(topic, offset)
            assert part.error_code == 0, part
            records = [r for r in iter_records(part.records) if r.offset >= offset]
            assert records, f"nothing at {offset} of {end}"
            found += [record.value or b"" for record in records]
            offset = records[-1].offset + 1
        return found

    def listed(self, topic: str, timestamp: int = -1) -> Any:
        """Partition 0's part of a ListOffsets answer."""
        part = _OFFSETS.ListOffsetsTopic.ListOffsetsPartition(
            partition_index=0, timestamp=timestamp
        )
        asked = _OFFSETS.ListOffsetsTopic(name=topic, partitions=[part])
        return self.ask(_OFFSETS(replica_id=-1, topics=[asked]), 5).topics[0].partitions[0]

    def end_offset(self, topic: str) -> int:
        """The high watermark; -1: it has no leader yet."""
        part = self.listed(topic)
        return -1 if part.error_code else int(part.offset)

    def commit(self, group: str, topic: str, offset: int) -> int:
        """Commit an offset of a group without members; the error code."""
        Topic = _COMMIT.OffsetCommitRequestTopic
        part = Topic.OffsetCommitRequestPartition(
            partition_index=0, committed_offset=offset, committed_metadata=""
        )
        asked = Topic(name=topic, partitions=[part])
        request = _COMMIT(
            group_id=group, generation_id_or_member_epoch=-1, member_id="", topics=[asked]
        )
        return int(self.ask(request, 8).topics[0].partitions[0].error_code)

    def find_coordinator(self, group: str) -> int:
        """The error code; the first time, __consumer_offsets is made."""
        return int(self.ask(FindCoordinatorRequest(key=group, key_type=0), 2).error_code)

    def log_dir(self) -> Any:
        """The broker's own directory as DescribeLogDirs tells it."""
        (result,) = self.ask(DescribeLogDirsRequest(topics=None), 4).results
        return result
