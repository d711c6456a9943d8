"""What a broker accepts from a client: one batch, looked at before it enters the log.

Kafka: ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator.
"""
from __future__ import annotations

from typing import NamedTuple

from fastbroker._c.record_batch import (
    HEADER_BYTES,
    BatchHeader,
    CorruptBatch,
    RecordWalk,
    assemble,
    crc_is_right,
    read_header,
    stamp_max_timestamp,
)
from fastbroker.config.kinds import LONG_MAX
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import (
    CorruptMessage,
    InvalidRecord,
    InvalidTimestamp,
    KafkaError,
    MessageTooLarge,
    UnsupportedCompressionType,
)
from fastbroker.records.compression import CODECS, GZIP, LZ4, ZSTD, compress, decompress, pieces
from fastbroker.storage.disk import Buffer

ZSTD_SINCE = 7  # Produce version
OLD_FORMATS = (0, 1)  # magic of the message sets before Kafka 0.11
# What a compressed batch may expand to: the larger of this and a multiple of max.message.bytes; or
# just max.message.bytes when the topic asks for another codec, because it is held in memory then.
# A few bytes that expand to gigabytes would keep everybody waiting.
EXPANDED_BYTES_MAX = 64 << 20
EXPANDED_FACTOR_MAX = 4


class ValidBatch(NamedTuple):
    """A batch ready to be stamped with its offset and written. timestamps in ms."""

    header: BatchHeader
    data: Buffer
    max_timestamp: int
    append_time: int  # -1: the records keep their own times


class NotOneBatch(InvalidRecord):
    """What came for a partition is not one whole batch of v2; its records were not looked at."""


class RecordsRefused(Exception):
    """A batch refused for some of its records: `error` for all, `reason` for each of `records`,
    which are indexes in the batch."""

    def __init__(self, error: KafkaError, reason: str, records: list[int]) -> None:
        super().__init__(str(error))
        self.error, self.reason, self.records = error, reason, records


def validate(
    data: memoryview, *, config: TopicConfig, now_ms: int, produce_version: int
) -> ValidBatch:
    """Check the records of one partition in a Produce request.

    data: exactly one batch; its timestamps may be rewritten in place.
    Raises InvalidRecord, NotOneBatch, CorruptMessage, MessageTooLarge, UnsupportedCompressionType,
    InvalidTimestamp, RecordsRefused; nothing of `data` has been changed then.
    """
    header = _single_batch(data, produce_version)
    if header.base_offset != 0:
        raise InvalidRecord(f"a batch from a client begins at offset 0, not {header.base_offset}")
    if header.size > config.max_message_bytes:
        raise MessageTooLarge(
            f"a batch of {header.size} bytes, the topic takes {config.max_message_bytes}"
            " (max.message.bytes)"
        )
    if not crc_is_right(data, header):
        raise CorruptMessage(f"the CRC of the batch is not {header.crc:#010x}: bytes were changed")
    if header.count <= 0 or header.count != header.last_offset_delta + 1:
        raise InvalidRecord(
            f"a batch of {header.count} records ends at offset delta {header.last_offset_delta}"
        )
    if header.is_control:
        raise InvalidRecord("clients may not write control records")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise InvalidRecord(f"producer {header.producer_id} sent a batch without a sequence")
    if header.is_append_time and not config.is_append_time:
        raise InvalidTimestamp("a producer may not set the timestamp type LogAppendTime")
    walk = _walk(data, header, config, now_ms)
    if config.is_compacted and walk.keyless:
        error = InvalidRecord("a compacted topic takes no record without a key")
        raise RecordsRefused(error, "the record has no key", walk.keyless)
    append_time = -1
    largest = walk.max_timestamp
    if config.is_append_time:
        append_time = largest = now_ms
    elif walk.out_of_range:
        late = InvalidTimestamp(
            f"a timestamp is not within {config.message_timestamp_before_max_ms} ms before and"
            f" {config.message_timestamp_after_max_ms} ms after the broker's time {now_ms}"
            " (message.timestamp.before.max.ms, message.timestamp.after.max.ms)"
        )
        raise RecordsRefused(late, "the timestamp is out of range", walk.out_of_range)
    if config.compression_type != "producer":
        codec = CODECS[config.compression_type]
        if codec != header.codec:
            data = memoryview(_recode(data, header, codec, config))
            header = read_header(data)
    if append_time >= 0 or largest != header.max_timestamp:
        stamp_max_timestamp(data, largest, append_time >= 0)
    return ValidBatch(header, data, largest, append_time)


def _single_batch(data: memoryview, produce_version: int) -> BatchHeader:
    if len(data) < HEADER_BYTES:
        raise NotOneBatch("a produce request holds exactly one batch for a partition, not none")
    try:
        header = read_header(data)
    except CorruptBatch as error:
        if data[16] in OLD_FORMATS:
            raise NotOneBatch(str(error)) from None
        raise CorruptMessage(str(error)) from None
    if header.size > len(data):
        raise NotOneBatch(f"a batch of {header.size} bytes in a request of {len(data)}")
    if header.size < len(data):
        raise NotOneBatch("a produce request holds exactly one batch for a partition, not more")
    if header.codec > ZSTD:
        raise InvalidRecord(f"no codec has the number {header.codec}")
    if header.codec == ZSTD and produce_version < ZSTD_SINCE:
        raise UnsupportedCompressionType(f"zstd needs Produce v{ZSTD_SINCE} or later")
    return header


def _walk(
    data: memoryview, header: BatchHeader, config: TopicConfig, now_ms: int
) -> RecordWalk:
    highest = now_ms + config.message_timestamp_after_max_ms
    if highest > LONG_MAX:
        highest = LONG_MAX
    walk = RecordWalk(
        header, lowest=now_ms - config.message_timestamp_before_max_ms, highest=highest
    )
    factor = EXPANDED_FACTOR_MAX if config.compression_type == "producer" else 1
    limit = max(EXPANDED_BYTES_MAX, factor * config.max_message_bytes)
    total = 0
    try:
        for piece in pieces(header.codec, data[HEADER_BYTES:]):
            total += len(piece)
            if total > limit:
                raise MessageTooLarge(
                    f"a batch of {header.size} bytes expands to more than {limit}: send smaller"
                    " batches"
                )
            walk.feed(piece)
        walk.finish()
    except CorruptBatch as error:
        raise InvalidRecord(str(error)) from None
    except CorruptMessage as error:
        # The CRC is right: sending it again, as CorruptMessage asks for, would not help.
        raise InvalidRecord(error.message) from None
    return walk


def _recode(data: memoryview, header: BatchHeader, codec: int, config: TopicConfig) -> bytearray:
    """The same batch in the topic's codec: the records' bytes do not change."""
    # Walked before: it expands to no more than is allowed.
    body = decompress(header.codec, data[HEADER_BYTES:])
    levels = {
        GZIP: config.compression_gzip_level,
        LZ4: config.compression_lz4_level,
        ZSTD: config.compression_zstd_level,
    }
    return assemble(
        compress(codec, body, levels.get(codec)),
        base_offset=0,
        leader_epoch=-1,
        attributes=header.attributes & ~7 | codec,
        last_offset_delta=header.last_offset_delta,
        base_timestamp=header.base_timestamp,
        max_timestamp=header.max_timestamp,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        count=header.count,
    )
