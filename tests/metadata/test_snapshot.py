"""The records of a snapshot make the image anew."""

from __future__ import annotations

from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import (
    BROKER,
    TOPIC,
    BrokerImage,
    Endpoint,
    MetadataImage,
    PartitionImage,
    TopicImage,
)
from fastbroker.metadata.snapshot import records_of
from fastbroker.protocol.record_frames import decode_metadata_record, encode_metadata_record

LOG_DIR, OTHER_DIR = b"d" * 16, b"e" * 16
BROKERS = [
    BrokerImage(1, 7, b"i" * 16, {"A": Endpoint("h", 9092, 0), "B": Endpoint("h", 9093, 1)}, "r",
                False, True, (LOG_DIR, OTHER_DIR), {"metadata.version": (7, 30)}),
    BrokerImage(2, 9, b"j" * 16, {}, None, True, False, (OTHER_DIR,)),
]  # fmt: skip
PARTITIONS = [
    PartitionImage((1, 2), (2,), 2, 5, 8, 1, (1,), (1, 2), (3,), (1,), (LOG_DIR, OTHER_DIR)),
    PartitionImage((1,), (1,), -1, 0, 0),
]
TOPICS = [TopicImage("t", b"t" * 16, dict(enumerate(PARTITIONS))), TopicImage("u", b"u" * 16, {})]
IMAGE = MetadataImage(
    offset=99,
    epoch=4,
    topics={topic.name: topic for topic in TOPICS},
    topics_by_id={topic.id: topic for topic in TOPICS},
    brokers={broker.id: broker for broker in BROKERS},
    configs={(TOPIC, "t"): {"retention.ms": "1", "segment.ms": "2"}, (BROKER, ""): {"x": ""}},
    features={"metadata.version": 30, "transaction.version": 2},
    next_producer_id=3000,
)


def made_anew(image: MetadataImage) -> MetadataImage:
    delta = MetadataDelta(MetadataImage.empty())
    for record in records_of(image):
        delta.replay(decode_metadata_record(encode_metadata_record(record)))
    return delta.image(image.offset, image.epoch)


def test_nothing_of_an_image_is_lost() -> None:
    assert made_anew(IMAGE) == IMAGE
    assert made_anew(MetadataImage.empty()) == MetadataImage.empty()


def test_no_field_is_left_at_its_default_by_the_image_above() -> None:
    """A field that is added later has to be in the snapshot, too."""
    for value in (BROKERS[0], PARTITIONS[0], IMAGE):
        for name, default in type(value)._field_defaults.items():
            assert getattr(value, name) != default, name
