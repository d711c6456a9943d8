"""Producer ids are unique in the cluster: a broker gets them from the controller by the block."""

from __future__ import annotations

from fastbroker import errors
from fastbroker.metadata.controller.brokers import check_epoch
from fastbroker.metadata.controller.outcome import Outcome
from fastbroker.metadata.image import MetadataImage
from fastbroker.protocol.messages.allocate_producer_ids import (
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
)
from fastbroker.protocol.metadata_records import ProducerIdsRecord

BLOCK = 1000
MAX_ID = 2**63 - 1


def allocate_producer_ids(image: MetadataImage, request: AllocateProducerIdsRequest) -> Outcome:
    """The next block. Raises StaleBrokerEpoch; KIP-730."""
    check_epoch(image, request.broker_id, request.broker_epoch)
    first = image.next_producer_id
    if first > MAX_ID - BLOCK:
        raise errors.UnknownServerError("Producer ids are exhausted: all of int64 is handed out")
    record = ProducerIdsRecord(
        broker_id=request.broker_id,
        broker_epoch=request.broker_epoch,
        next_producer_id=first + BLOCK,
    )
    return Outcome(
        [record], AllocateProducerIdsResponse(producer_id_start=first, producer_id_len=BLOCK)
    )
