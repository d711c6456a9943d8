"""What a client may not send, and with which error it is told so."""
from __future__ import annotations

import pytest

from fastbroker._c.record_batch import crc_is_right, read_header
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import (
    CorruptMessage,
    InvalidRecord,
    InvalidTimestamp,
    KafkaError,
    MessageTooLarge,
    UnsupportedCompressionType,
)
from fastbroker.records.builder import build_batch
from fastbroker.records.reader import iter_records
from fastbroker.storage.validator import NotOneBatch, RecordsRefused, ValidBatch, validate
from tests.storage.logs import NOW, batch


def check(
    data: bytes | bytearray | memoryview, config: TopicConfig | None = None, version: int = 9
) -> ValidBatch:
    return validate(
        memoryview(bytearray(data)), config=config or TopicConfig(), now_ms=NOW,
        produce_version=version,
    )  # fmt: skip


def with_field(data: memoryview, at: int, value: bytes, *, new_crc: bool = True) -> bytearray:
    from crc32c import crc32c

    out = bytearray(data)
    out[at : at + len(value)] = value
    if new_crc:
        out[17:21] = crc32c(bytes(out[21:])).to_bytes(4, "big")
    return out


GOOD = batch("a", "b", "c")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotOneBatch),
        (bytes(GOOD) * 2, NotOneBatch),
        (bytes(GOOD)[:-1], NotOneBatch),
        (with_field(GOOD, 8, b"\0\0\0\5", new_crc=False), CorruptMessage),
        (with_field(GOOD, 8, b"\xff\xff\xff\xff", new_crc=False), CorruptMessage),
        (with_field(GOOD, 16, b"\1", new_crc=False), NotOneBatch),
        (with_field(GOOD, 16, b"\3", new_crc=False), CorruptMessage),
        (with_field(GOOD, 70, b"\xa5", new_crc=False), CorruptMessage),
        (with_field(GOOD, 0, b"\0\0\0\0\0\0\0\1"), InvalidRecord),
        (with_field(GOOD, 57, b"\0\0\0\4"), InvalidRecord),
        (with_field(with_field(GOOD, 57, b"\0\0\0\4"), 23, b"\0\0\0\3"), InvalidRecord),
        (with_field(with_field(GOOD, 57, b"\0\0\0\0"), 23, b"\xff\xff\xff\xff"), InvalidRecord),
        (with_field(GOOD, 57, b"\xff\xff\xff\xff"), InvalidRecord),
        (batch("a", is_control=True), InvalidRecord),
        (batch("a", producer_id=3), InvalidRecord),
        (batch("a", timestamp_type=1), InvalidTimestamp),
        (with_field(GOOD, 21, b"\0\7"), InvalidRecord),
        (with_field(GOOD, 21, b"\0\1"), InvalidRecord),
        (batch("x" * 2_000_000), MessageTooLarge),
    ],
)
def test_a_bad_batch_is_refused(data: bytes, error: type[KafkaError]) -> None:
    with pytest.raises(error):
        check(data)


def test_zstd_needs_a_client_that_knows_it() -> None:
    data = batch("a", compression="zstd")
    assert check(data, version=7).header.count == 1
    with pytest.raises(UnsupportedCompressionType):
        check(data, version=6)


def test_a_compacted_topic_wants_keys() -> None:
    with pytest.raises(RecordsRefused) as caught:
        check(batch("a", "b", key=None), TopicConfig(cleanup_policy=("compact",)))
    assert caught.value.records == [0, 1]
    assert caught.value.error.code == 87


def test_timestamps_are_within_bounds() -> None:
    config = TopicConfig(message_timestamp_before_max_ms=10)
    check(batch("a", at=NOW - 10), config)
    check(batch("a", at=-1), config)
    for at in (NOW - 11, NOW + 3_600_001):
        with pytest.raises(RecordsRefused) as caught:
            check(batch("a", at=at), config)
        assert caught.value.error.code == 32
    unbounded = TopicConfig(message_timestamp_after_max_ms=2**63 - 1)
    check(batch("a", at=NOW + 3_600_001), unbounded)


def test_a_wrong_maximum_is_put_right() -> None:
    data = with_field(GOOD, 35, (5).to_bytes(8, "big"))
    valid = check(data)
    assert valid.max_timestamp == NOW + 2
    header = read_header(valid.data)
    assert header.max_timestamp == NOW + 2
    assert crc_is_right(valid.data, header)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd", "uncompressed"])
@pytest.mark.parametrize("sent", ["none", "gzip", "zstd"])
def test_the_topics_codec_wins(codec: str, sent: str) -> None:
    valid = check(batch("a", "b", compression=sent), TopicConfig(compression_type=codec))
    header = read_header(valid.data)
    assert header.codec == {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[codec]
    assert [r.value for r in iter_records(valid.data)] == [b"a", b"b"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_expands_too_far_is_refused_before_it_is_expanded(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastbroker.storage.validator.EXPANDED_BYTES_MAX", 1 << 20)
    config = TopicConfig(max_message_bytes=100_000)
    record = (None, bytes(900_000), (), NOW)
    check(build_batch([record], compression=codec), config)
    with pytest.raises(MessageTooLarge, match="expands to more than 1048576"):
        check(build_batch([record, record], compression=codec), config)
