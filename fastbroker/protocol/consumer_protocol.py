"""What members of a classic consumer group tell each other inside JoinGroup and SyncGroup."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, array, blob, i32, string


class ConsumerProtocolAssignment(Struct, versions="0-3"):
    class TopicPartition(Struct):
        topic: str = string()
        partitions: list[int] = array(i32())

    assigned_partitions: list[TopicPartition] = array(TopicPartition)
    user_data: Buffer | None = blob(default=None, nullable="0+")


class ConsumerProtocolSubscription(Struct, versions="0-3"):
    class TopicPartition(Struct):
        topic: str = string("1+")
        partitions: list[int] = array(i32(), "1+")

    topics: list[str] = array(string())
    user_data: Buffer | None = blob(default=None, nullable="0+")
    owned_partitions: list[TopicPartition] = array(TopicPartition, "1+")
    generation_id: int = i32("2+", default=-1)
    rack_id: str | None = string("3+", default=None, nullable="3+")
