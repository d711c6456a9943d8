"""The topics' keys, and TopicConfig: one topic's values as attributes.

A topic's value is its own override, else the broker's synonym, else the default.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from fastbroker.config.kinds import (
    BOOLEAN,
    INT_MAX,
    LONG_MAX,
    Kind,
    double,
    integer,
    items,
    long,
    string,
)
from fastbroker.errors import InvalidConfig

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
DAY_MS = 24 * HOUR_MS
COMPRESSIONS = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
TIMESTAMP_TYPES = ("CreateTime", "LogAppendTime")


class TopicKey(NamedTuple):
    """One key of a topic. older: broker keys that are looked at when the synonym is not given:
    (name, ms in one unit). The synonym itself has no default then: theirs counts."""

    name: str
    kind: Kind
    default: Any
    synonym: str | None
    doc: str
    older: tuple[tuple[str, int], ...] = ()
    served: bool = True

    @property
    def attribute(self) -> str:
        """Its name in TopicConfig."""
        return self.name.replace(".", "_")


    @property
    def broker_keys(self) -> tuple[str, ...]:
        """The broker's keys behind it, strongest first."""
        own = () if self.synonym is None else (self.synonym,)
        return own + tuple(name for name, _ in self.older)

    @property
    def broker_default(self) -> Any:
        """The default of the synonym; None: it has none."""
        return None if self.synonym is None or self.older else self.default


_ROWS = (
    TopicKey("cleanup.policy", items(("compact", "delete")), ("delete",), "log.cleanup.policy",
             "delete old segments, compact by key, or both"),
    TopicKey("compression.gzip.level", integer(-1, 9), -1, "compression.gzip.level",
             "gzip's level"),
    TopicKey("compression.lz4.level", integer(1, 17), 9, "compression.lz4.level", "lz4's level"),
    TopicKey("compression.type", string(COMPRESSIONS), "producer", "compression.type",
             "the codec on disk; producer: as it came"),
    TopicKey("compression.zstd.level", integer(-131072, 22), 3, "compression.zstd.level",
             "zstd's level"),
    TopicKey("delete.retention.ms", long(0), DAY_MS, "log.cleaner.delete.retention.ms",
             "how long a tombstone outlives its cleaning"),
    TopicKey("file.delete.delay.ms", long(0), 60000, "log.segment.delete.delay.ms",
             "between renaming a segment to .deleted and removing it"),
    TopicKey("flush.messages", long(1), 1, "log.flush.interval.messages",
             "records that may wait for a flush; 1: a write is acknowledged when it is on disk"),
    TopicKey("flush.ms", long(0), LONG_MAX, "log.flush.interval.ms",
             "longest time that a record waits for a flush",
             (("log.flush.scheduler.interval.ms", 1),)),
    TopicKey("follower.replication.throttled.replicas", items(), (), None,
             "replicas throttled on the follower", served=False),
    TopicKey("index.interval.bytes", integer(0), 4096, "log.index.interval.bytes",
             "bytes of log for one index entry"),
    TopicKey("leader.replication.throttled.replicas", items(), (), None,
             "replicas throttled on the leader", served=False),
    TopicKey("local.retention.bytes", long(-2), -2, "log.local.retention.bytes",
             "tiered storage", served=False),
    TopicKey("local.retention.ms", long(-2), -2, "log.local.retention.ms", "tiered storage",
             served=False),
    TopicKey("max.compaction.lag.ms", long(1), LONG_MAX, "log.cleaner.max.compaction.lag.ms",
             "a record is compacted at the latest after this"),
    TopicKey("max.message.bytes", integer(0), 1048588, "message.max.bytes",
             "largest batch, as sent"),
    TopicKey("message.timestamp.after.max.ms", long(0), HOUR_MS,
             "log.message.timestamp.after.max.ms", "how far ahead a timestamp may be"),
    TopicKey("message.timestamp.before.max.ms", long(0), LONG_MAX,
             "log.message.timestamp.before.max.ms", "how old a timestamp may be"),
    TopicKey("message.timestamp.type", string(TIMESTAMP_TYPES), "CreateTime",
             "log.message.timestamp.type", "the producer's time, or the broker's"),
    TopicKey("min.cleanable.dirty.ratio", double(0, 1), 0.5, "log.cleaner.min.cleanable.ratio",
             "share of uncompacted bytes that makes a log due"),
    TopicKey("min.compaction.lag.ms", long(0), 0, "log.cleaner.min.compaction.lag.ms",
             "a record stays uncompacted for this long"),
    TopicKey("min.insync.replicas", integer(1), 1, "min.insync.replicas",
             "replicas that must have a write with acks=all"),
    TopicKey("preallocate", BOOLEAN, False, "log.preallocate", "reserve a segment's space at once"),
    TopicKey("remote.log.copy.disable", BOOLEAN, False, None, "tiered storage", served=False),
    TopicKey("remote.log.delete.on.disable", BOOLEAN, False, None, "tiered storage", served=False),
    TopicKey("remote.storage.enable", BOOLEAN, False, None, "tiered storage", served=False),
    TopicKey("retention.bytes", long(), -1, "log.retention.bytes",
             "size that a partition may have; -1: any"),
    TopicKey("retention.ms", long(-1), 7 * DAY_MS, "log.retention.ms",
             "age at which a segment goes; -1: never",
             (("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS))),
    TopicKey("segment.bytes", integer(1048576, INT_MAX), 1073741824, "log.segment.bytes",
             "largest segment file"),
    TopicKey("segment.index.bytes", integer(4), 10485760, "log.index.size.max.bytes",
             "largest offset index"),
    TopicKey("segment.jitter.ms", long(0), 0, "log.roll.jitter.ms",
             "chance taken off segment.ms", (("log.roll.jitter.hours", HOUR_MS),)),
    TopicKey("segment.ms", long(1), 7 * DAY_MS, "log.roll.ms",
             "age at which the active segment is rolled", (("log.roll.hours", HOUR_MS),)),
    TopicKey("unclean.leader.election.enable", BOOLEAN, False, "unclean.leader.election.enable",
             "let a replica outside the ISR lead", served=False),
)  # fmt: skip
TOPIC_KEYS: dict[str, TopicKey] = {key.name: key for key in _ROWS}
_ATTRIBUTES = tuple((key.attribute, key) for key in _ROWS)


class BrokerValues(Protocol):
    """What TopicConfig asks of a BrokerConfig."""

    explicit: Mapping[str, str]

    def __getitem__(self, name: str) -> Any: ...


class TopicConfig:
    """One topic's configuration: `config.segment_bytes` for segment.bytes, and so on."""

    __slots__ = tuple(attribute for attribute, _ in _ATTRIBUTES)

    cleanup_policy: tuple[str, ...]
    compression_gzip_level: int
    compression_lz4_level: int
    compression_type: str
    compression_zstd_level: int
    delete_retention_ms: int
    file_delete_delay_ms: int
    flush_messages: int
    flush_ms: int
    index_interval_bytes: int
    max_compaction_lag_ms: int
    max_message_bytes: int
    message_timestamp_after_max_ms: int
    message_timestamp_before_max_ms: int
    message_timestamp_type: str
    min_insync_replicas: int
    preallocate: bool
    retention_bytes: int
    retention_ms: int
    segment_bytes: int
    segment_index_bytes: int
    segment_jitter_ms: int
    segment_ms: int

    def __init__(self, **values: Any) -> None:
        """The defaults, with `values` in their place."""
        for attribute, key in _ATTRIBUTES:
            setattr(self, attribute, values.pop(attribute, key.default))
        assert not values, f"no such topic configuration: {values}"

    @classmethod
    def resolve(cls, overrides: Mapping[str, str], broker: BrokerValues | None) -> TopicConfig:
        """The values of a topic with `overrides` (texts that have been validated)."""
        out = cls()
        for attribute, key in _ATTRIBUTES:
            text = overrides.get(key.name)
            if text is not None:
                setattr(out, attribute, key.kind.parse(text))
            elif broker is not None:
                for name, value in broker_values(key, broker):
                    if name in broker.explicit:
                        setattr(out, attribute, value)
                        break
        return out

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    @property
    def roll_ms(self) -> int:
        """segment.ms, or less, so that a compacted topic's records are compacted in time."""
        if self.is_compacted:
            return min(self.segment_ms, self.max_compaction_lag_ms)
        return self.segment_ms

    @property
    def is_append_time(self) -> bool:
        return self.message_timestamp_type == "LogAppendTime"


def broker_values(key: TopicKey, broker: BrokerValues) -> Iterator[tuple[str, Any]]:
    """The broker's keys that stand behind a topic key, strongest first, with their values."""
    if key.synonym is None:
        return
    yield key.synonym, broker[key.synonym]
    for name, unit in key.older:
        value = broker[name]
        if value is not None:
            yield name, value * unit if value >= 0 else value


def validate_override(name: str, value: str | None) -> None:
    """Raise InvalidConfig unless `value` may stand for the topic key `name`."""
    key = TOPIC_KEYS.get(name)
    if key is None:
        raise InvalidConfig(f"Unknown topic config name: {name}")
    if value is None:
        raise InvalidConfig(f"Null value not supported for topic configs: {name}")
    try:
        parsed = key.kind.parse(value)
    except ValueError as error:
        raise InvalidConfig(f"Invalid value {value} for configuration {name}: {error}") from None
    if not key.served and parsed != key.default:
        raise InvalidConfig(f"{name} is not supported yet: leave it at its default")
