"""AlterPartition (56): partition leader asks the controller to change ISR/leader-recovery state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, uuid


class AlterPartitionRequest(Struct, key=56, versions="2-3", flexible="2+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            class BrokerState(Struct):
                broker_id: int = i32("3+")
                broker_epoch: int = i64("3+", default=-1)

            partition_index: int = i32()
            leader_epoch: int = i32()
            new_isr: list[int] = array(i32(), "2")
            new_isr_with_epochs: list[BrokerState] = array(BrokerState, "3+")
            leader_recovery_state: int = i8()
            partition_epoch: int = i32()

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    broker_id: int = i32()
    broker_epoch: int = i64(default=-1)
    topics: list[TopicData] = array(TopicData)


class AlterPartitionResponse(Struct, key=56, versions="2-3", flexible="2+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            leader_id: int = i32()
            leader_epoch: int = i32()
            isr: list[int] = array(i32())
            leader_recovery_state: int = i8()
            partition_epoch: int = i32()

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    topics: list[TopicData] = array(TopicData)
