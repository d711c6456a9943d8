"""An image under a test's hands: outcomes are applied as the controller process would."""

from __future__ import annotations

from collections.abc import Sequence

from fastbroker.metadata.controller.brokers import Brokers
from fastbroker.metadata.controller.outcome import Outcome
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.features import SUPPORTED, bootstrap_records
from fastbroker.metadata.image import MetadataImage, PartitionImage
from fastbroker.protocol.messages.broker_heartbeat import (
    BrokerHeartbeatRequest,
    BrokerHeartbeatResponse,
)
from fastbroker.protocol.messages.broker_registration import BrokerRegistrationRequest
from fastbroker.protocol.metadata_records import PartitionRecord, TopicRecord
from fastbroker.protocol.record_frames import decode_metadata_record, encode_metadata_record
from fastbroker.protocol.schema import Struct

CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def uuid(number: int) -> bytes:
    return (1_000_000 + number).to_bytes(16, "big")


class Cluster:
    def __init__(self) -> None:
        self.image = MetadataImage.empty()
        self.now_ms = 1_000_000
        self.apply(bootstrap_records())
        self.brokers = Brokers(self.image, cluster_id=CLUSTER_ID, now_ms=self.now_ms)

    @property
    def next_offset(self) -> int:
        return self.image.offset + 1

    def apply(self, records: Sequence[Struct]) -> None:
        delta = MetadataDelta(self.image)
        for record in records:
            delta.replay(decode_metadata_record(encode_metadata_record(record)))
        self.image = delta.image(self.image.offset + len(records), 1)

    def keep(self, outcome: Outcome) -> Outcome:
        self.apply(outcome.records)
        return outcome

    def registration(self, broker_id: int = 1, **fields: object) -> BrokerRegistrationRequest:
        request = BrokerRegistrationRequest(
            broker_id=broker_id,
            cluster_id=CLUSTER_ID,
            incarnation_id=uuid(broker_id),
            listeners=[
                BrokerRegistrationRequest.Listener(
                    name="PLAINTEXT", host="localhost", port=9092, security_protocol=0
                )
            ],
            features=[
                BrokerRegistrationRequest.Feature(
                    name=name, min_supported_version=low, max_supported_version=high
                )
                for name, (low, high) in SUPPORTED.items()
            ],
            log_dirs=[uuid(100 + broker_id)],
        )
        for name, value in fields.items():
            setattr(request, name, value)
        return request

    def register(self, broker_id: int = 1, **fields: object) -> int:
        """The broker's epoch."""
        outcome = self.brokers.register(
            self.image,
            self.registration(broker_id, **fields),
            next_offset=self.next_offset,
            now_ms=self.now_ms,
        )
        self.keep(outcome)
        return int(outcome.response.broker_epoch)

    def heartbeat(self, broker_id: int = 1, **fields: object) -> BrokerHeartbeatResponse:
        request = BrokerHeartbeatRequest(
            broker_id=broker_id,
            broker_epoch=self.image.brokers[broker_id].epoch,
            current_metadata_offset=self.image.offset,
        )
        for name, value in fields.items():
            setattr(request, name, value)
        outcome = self.brokers.heartbeat(
            self.image, request, next_offset=self.next_offset, now_ms=self.now_ms
        )
        response: BrokerHeartbeatResponse = self.keep(outcome).response
        return response

    def start(self, *broker_ids: int) -> None:
        for broker_id in broker_ids:
            self.register(broker_id)
            assert not self.heartbeat(broker_id).is_fenced

    def topic(self, name: str, *replicas: tuple[int, ...]) -> None:
        topic_id = uuid(1000 + len(self.image.topics))
        self.apply([TopicRecord(name=name, topic_id=topic_id)])
        self.apply(
            [
                PartitionRecord(
                    partition_id=index,
                    topic_id=topic_id,
                    replicas=list(r),
                    isr=list(r),
                    leader=r[0],
                    leader_epoch=0,
                    partition_epoch=0,
                )
                for index, r in enumerate(replicas)
            ]
        )

    def partition(self, name: str, index: int = 0) -> PartitionImage:
        return self.image.topics[name].partitions[index]
