"""Produce: what is appended, what is refused, and with which error."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from tests.recordings.batches import T0, batch, old_message_set
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import NO_TOPIC, called, topic

TopicData = ProduceRequest.TopicProduceData
MAX_BYTES = 1 << 20


def produce(
    s: Scene, label: str | None, topic_: tuple[str, bytes], *records: bytes | None,
    acks: int = -1, partition: int = 0, **more: Any,
) -> Step:  # fmt: skip
    """One topic; each of `records` goes to a partition of its own, from `partition` on."""
    data = [{"index": partition + i, "records": r} for i, r in enumerate(records)]
    topics = [{**called(TopicData, s, *topic_), "partition_data": data}]
    more.setdefault("timeout_ms", 5000)
    return s.ask(label, ProduceRequest, acks=acks, topic_data=topics, **more)


def everything(s: Scene, name: str, partition: int = 0) -> Step:
    """A fetch of all that a partition holds."""
    return s.ask(
        "what it holds", FetchRequest, at=11, max_wait_ms=100, min_bytes=1, max_bytes=MAX_BYTES,
        topics=[
            {
                "topic": name,
                "partitions": [{"partition": partition, "partition_max_bytes": MAX_BYTES}],
            }
        ],
    )  # fmt: skip


@scenario(ProduceRequest)
def good(s: Scene) -> Steps:
    t = yield from topic(s, partitions=3)
    yield produce(s, "one record", t, batch())
    yield produce(s, "three, null keys and values", t, batch([(b"k", None), (None, b"v"), b""]))
    yield produce(s, "acks 1", t, batch([b"acks 1"]), acks=1)
    yield produce(s, "acks 0", t, batch([b"acks 0"]), acks=0)
    yield produce(s, "three partitions", t, batch(), batch([b"a", b"b"]), batch())
    yield produce(s, "a leader epoch in the batch", t, batch(leader_epoch=9))
    yield everything(s, t[0])


@scenario(ProduceRequest)
def compressed(s: Scene) -> Steps:
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        t = yield from topic(s, codec)
        yield produce(s, codec, t, batch([b"one" * 50, b"two" * 50], codec=codec))
        yield everything(s, t[0])._replace(label=None)
    t = yield from topic(s, "unknown")
    yield produce(s, "codec 5", t, batch(attributes=5))
    yield produce(s, "codec 7", t, batch(attributes=7))
    yield produce(s, "gzip that is none", t, batch(attributes=1))
    yield produce(s, "lz4 that is none", t, batch(attributes=3))


@scenario(ProduceRequest)
def nothing_or_nowhere(s: Scene) -> Steps:
    t = yield from topic(s)
    unknown = (s.name("unknown"), NO_TOPIC)
    yield produce(s, "an unknown topic", unknown, batch())
    yield produce(s, "an unknown partition", t, batch(), partition=1)
    yield produce(s, "a negative partition", t, batch(), partition=-1)
    yield produce(s, "one known of two", t, batch(), batch())
    yield produce(s, "null records", t, None, patience_s=1.5)
    yield produce(s, "empty records", t, b"")
    yield produce(s, "no partition", t)
    yield s.ask("no topic", ProduceRequest, acks=-1, timeout_ms=5000)
    yield produce(s, "acks 2", t, batch(), acks=2)
    yield produce(s, "acks -2", t, batch(), acks=-2)
    yield produce(s, "an unknown topic, acks 0", unknown, batch(), acks=0)
    yield s.ask("and after that", ApiVersionsRequest, at=0, keep=("error_code",))
    bad = ("bad topic!", bytes(16))
    yield produce(s, "a name that no topic can have, or no id", bad, batch())


@scenario(ProduceRequest)
def damaged(s: Scene) -> Steps:
    whole = batch([b"a", b"b", b"c"])
    cases: dict[str, bytes] = {
        "a wrong crc": batch(crc_error=1),
        "two batches": batch() + batch(),
        "a cut batch": whole[:-1],
        "a batch and a cut one": whole + whole[:-5],
        "a cut header": whole[:40],
        "ten bytes": whole[:10],
        "bytes behind the batch": whole + b"xyz",
        "a length too small": batch(length=40),
        "a negative length": batch(length=-1),
        "magic 0": old_message_set(magic=0),
        "magic 1": old_message_set(magic=1),
        "magic 3": batch(magic=3),
        "magic -1": batch(magic=-1),
        "a base offset": batch(base_offset=5),
        "a negative base offset": batch(base_offset=-1),
        "more counted than there are": batch([b"a", b"b"], count=3),
        "fewer counted than there are": batch([b"a", b"b"], count=1),
        "more counted, the delta too": batch([b"a", b"b"], count=3, last_offset_delta=2),
        "a delta too large": batch([b"a", b"b"], last_offset_delta=5),
        "a negative delta": batch(last_offset_delta=-1),
        "no record": batch([]),
        "a negative count": batch(count=-1),
        "a control batch": batch([(b"\0\0\0\1", b"\0\0\0\0\0\0")], attributes=0x20),
        "transactional without a producer": batch(attributes=0x10),
        "the log's time": batch(attributes=0x08),
        "a delete horizon": batch(attributes=0x40),
        "bits that mean nothing": batch(attributes=0x100),
    }
    t = yield from topic(s, partitions=len(cases))
    for i, (label, data) in enumerate(cases.items()):
        yield produce(s, label, t, data, partition=i)
    for label in ("the log's time", "a delete horizon", "bits that mean nothing"):
        yield everything(s, t[0], list(cases).index(label))


@scenario(ProduceRequest)
def topic_limits(s: Scene) -> Steps:
    small = yield from topic(s, "small", configs={"max.message.bytes": "200"})
    fits = 200 - len(batch([b"x" * 100])) + 100
    yield produce(s, "as large as it may be", small, batch([b"x" * fits]))
    yield produce(s, "a byte larger", small, batch([b"x" * (fits + 1)]))
    compact = yield from topic(s, "compact", configs={"cleanup.policy": "compact"})
    yield produce(s, "no key in a compacted topic", compact, batch([(b"k", b"v"), (None, b"v")]))
    yield produce(s, "a key in a compacted topic", compact, batch([(b"k", b"v")]))
    yield produce(s, "no key, in gzip", compact, batch([(None, b"v")], codec="gzip"))
    segment = yield from topic(s, "segment", configs={"segment.bytes": "1048576"})
    yield produce(s, "larger than a segment", segment, batch([b"x" * 1048500]))
    log_time = yield from topic(
        s, "time", configs={"message.timestamp.type": "LogAppendTime"}
    )
    yield produce(s, "stamped by the log", log_time, batch([b"a", b"b"]))
    yield produce(s, "stamped by the log, gzip", log_time, batch([b"a", b"b"], codec="gzip"))
    yield everything(s, log_time[0])
    strict = yield from topic(
        s, "strict",
        configs={
            "message.timestamp.before.max.ms": "3600000",
            "message.timestamp.after.max.ms": "3600000",
        },
    )  # fmt: skip
    yield produce(s, "too old", strict, batch([b"a", b"b"]))
    future = batch(timestamps=[4_000_000_000_000])
    yield produce(s, "too new", strict, future)
    yield produce(s, "too new for the default", small, future)


@scenario(ProduceRequest)
def timestamps(s: Scene) -> Steps:
    t = yield from topic(s)
    yield produce(s, "none", t, batch(timestamps=[-1]))
    yield produce(s, "zero", t, batch(timestamps=[0]))
    yield produce(s, "falling", t, batch([b"a", b"b"], timestamps=[T0 + 5, T0]))
    yield produce(s, "a wrong maximum", t, batch([b"a", b"b"], max_timestamp=T0 + 99))
    yield produce(s, "a maximum too small", t, batch([b"a", b"b"], max_timestamp=T0))
    yield produce(s, "a negative one", t, batch(timestamps=[-5]))
    yield everything(s, t[0])


@scenario(ProduceRequest)
def recompressed(s: Scene) -> Steps:
    for codec in ("uncompressed", "gzip", "zstd", "lz4"):
        t = yield from topic(s, codec, configs={"compression.type": codec})
        yield produce(s, f"plain to {codec}", t, batch([b"x" * 100, b"y" * 100]))
        yield produce(s, f"snappy to {codec}", t, batch([b"x" * 100], codec="snappy"))
        yield produce(s, f"more counted than there are, to {codec}", t, batch(count=2))


@scenario(ProduceRequest)
def idempotent(s: Scene) -> Steps:
    t = yield from topic(s)
    who = yield s.ask(
        "a producer id", InitProducerIdRequest, at=1, transactional_id=None,
        transaction_timeout_ms=60000,
        until=lambda a: a.error_code == 0,
    )  # fmt: skip

    def data(sequence: int, *values: bytes, epoch: int = who.producer_epoch) -> bytes:
        return batch(
            values, producer_id=who.producer_id, producer_epoch=epoch, base_sequence=sequence
        )

    yield produce(s, "sequence 0", t, data(0, b"a", b"b"))
    yield produce(s, "sequence 2", t, data(2, b"c"))
    yield produce(s, "sequence 0 again", t, data(0, b"a", b"b"))
    yield produce(s, "sequence 2 again", t, data(2, b"c"))
    yield produce(s, "a gap", t, data(5, b"d"))
    yield produce(s, "half of a duplicate", t, data(1, b"b"))
    yield produce(s, "another length", t, data(2, b"c", b"d"))
    for i in range(3, 8):
        yield produce(s, f"sequence {i}", t, data(i, b"e"))
    yield produce(s, "older than the five remembered", t, data(0, b"a", b"b"))
    yield produce(s, "the fifth last", t, data(3, b"e"))
    yield produce(s, "the next epoch", t, data(0, b"f", epoch=1))
    yield produce(s, "the old epoch", t, data(8, b"g", epoch=0))
    yield produce(s, "the next epoch, a gap", t, data(4, b"f", epoch=2))
    yield produce(s, "a negative epoch", t, data(1, b"f", epoch=-1))
    yield produce(s, "a negative sequence", t, data(-1, b"f", epoch=1))
    yield produce(s, "sequence 1 at last", t, data(1, b"f", epoch=1))
    stranger = batch(producer_id=who.producer_id + 500, producer_epoch=0, base_sequence=7)
    yield produce(s, "a producer id that was never given, not from 0", t, stranger)
    stranger = batch(producer_id=who.producer_id + 501, producer_epoch=3, base_sequence=0)
    yield produce(s, "a producer id that was never given, from 0", t, stranger)
    yield produce(s, "sequences without a producer id", t, batch(base_sequence=4))
    yield produce(s, "acks 1, sequence 2", t, data(2, b"h", epoch=1), acks=1)
    yield produce(s, "acks 0, a gap", t, data(9, b"h", epoch=1), acks=0)
    yield everything(s, t[0])


@scenario(ProduceRequest)
def sequences_wrap(s: Scene) -> Steps:
    t = yield from topic(s)
    top = 2**31 - 1
    who = yield s.ask(
        None, InitProducerIdRequest, at=1, transactional_id=None, transaction_timeout_ms=60000,
        until=lambda a: a.error_code == 0,
    )  # fmt: skip

    def data(sequence: int, count: int) -> bytes:
        return batch(
            [b"x"] * count, producer_id=who.producer_id, producer_epoch=0, base_sequence=sequence
        )

    yield produce(s, "the first may be anything", t, data(top - 1, 3))
    yield produce(s, "behind the wrap", t, data(1, 1))
    yield produce(s, "the first again", t, data(top - 1, 3))


@scenario(ProduceRequest)
def transactional(s: Scene) -> Steps:
    t = yield from topic(s, partitions=2)
    data = batch(attributes=0x10, producer_id=7, producer_epoch=0, base_sequence=0)
    yield produce(s, "without a transactional id", t, data)
    yield produce(s, "an id, but no such batch", t, batch(), partition=1,
                  transactional_id=s.name("id"))  # fmt: skip
    internal = ("__consumer_offsets", NO_TOPIC)
    yield produce(s, "to an internal topic", internal, batch())
