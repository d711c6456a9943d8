"""What is kept of a transactional id: a record of __transaction_state, from it and back.

    key   := type:int16=0 transactional_id
    value := version:int16 TransactionLogValue; null: the id has expired

Version 1 (tagged fields: previous and next producer id, the client's version) is written from
transaction.version 1 on; before, those fields are lost with the process. Kafka: TransactionLog.
"""
from __future__ import annotations

from collections import defaultdict

from fastbroker.errors import CorruptFrame
from fastbroker.model import TopicPartition
from fastbroker.protocol.record_frames import (
    decode_key,
    decode_value,
    encode_key,
    encode_value,
    key_types,
)
from fastbroker.protocol.txn_records import TransactionLogKey, TransactionLogValue
from fastbroker.txn.state import State
from fastbroker.txn.transaction import Transaction

Record = tuple[bytes, bytes | None]
KEYS = key_types([TransactionLogKey])
FLEXIBLE_SINCE = 1  # transaction.version


def record(transactional_id: str, kept: Transaction, *, version: int) -> Record:
    """The record of a state. version: transaction.version of the cluster."""
    partitions = None
    if kept.state is not State.EMPTY:
        by_topic: dict[str, list[int]] = defaultdict(list)
        for topic, partition in sorted(kept.partitions):
            by_topic[topic].append(partition)
        partitions = [
            TransactionLogValue.PartitionsSchema(topic=topic, partition_ids=numbers)
            for topic, numbers in by_topic.items()
        ]
    value = TransactionLogValue(
        producer_id=kept.producer_id,
        producer_epoch=kept.producer_epoch,
        transaction_timeout_ms=kept.timeout_ms,
        transaction_status=int(kept.state),
        transaction_partitions=partitions,
        transaction_last_update_timestamp_ms=kept.updated_ms,
        transaction_start_timestamp_ms=kept.start_ms,
    )
    if version >= FLEXIBLE_SINCE:
        value.previous_producer_id = kept.previous_producer_id
        value.next_producer_id = kept.next_producer_id
        value.client_transaction_version = kept.client_version
    return _key(transactional_id), encode_value(value, 1 if version >= FLEXIBLE_SINCE else 0)


def tombstone(transactional_id: str) -> Record:
    """The record that takes an id away."""
    return _key(transactional_id), None


def read_key(key: bytes | None) -> str | None:
    """The transactional id of a record; None: it is of another kind. Raises CorruptFrame."""
    if key is None:
        raise CorruptFrame("a record without a key")
    found = decode_key(key, KEYS)
    return None if found is None else str(found.transactional_id)


def read_value(value: bytes) -> Transaction:
    """The state in a record. Raises CorruptFrame."""
    kept = decode_value(value, TransactionLogValue)
    try:
        return Transaction(
            producer_id=kept.producer_id,
            producer_epoch=kept.producer_epoch,
            previous_producer_id=kept.previous_producer_id,
            next_producer_id=kept.next_producer_id,
            timeout_ms=kept.transaction_timeout_ms,
            state=State(kept.transaction_status),
            partitions=frozenset(
                TopicPartition(one.topic, number)
                for one in kept.transaction_partitions or ()
                for number in one.partition_ids
            ),
            start_ms=kept.transaction_start_timestamp_ms,
            updated_ms=kept.transaction_last_update_timestamp_ms,
            client_version=max(kept.client_transaction_version, 0),
        )
    except (AssertionError, ValueError) as error:
        raise CorruptFrame(f"no state of a transaction: {error}") from None


def _key(transactional_id: str) -> bytes:
    return encode_key(TransactionLogKey(transactional_id=transactional_id))
