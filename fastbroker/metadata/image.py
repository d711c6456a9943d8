"""The cluster's state as a value: what the metadata log says up to one offset.

Immutable. A `MetadataDelta` makes the next image out of records and copies only the dicts that
those touch, so images of consecutive offsets share nearly everything.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

NO_LEADER = -1

# Resource types of configs, as in requests and in ConfigRecord.
TOPIC, BROKER, CLIENT_METRICS, GROUP = 2, 4, 16, 32

ResourceKey = tuple[int, str]  # (resource type, resource name)

NO_CONFIGS: dict[str, str] = {}

SHARED_MAX = 4096  # values that later ones are compared with
_SHARED: dict[object, Any] = {}
_SINGLES: dict[tuple[int, PartitionImage], dict[int, PartitionImage]] = {}


class Endpoint(NamedTuple):
    """Where a broker listens; security_protocol is Kafka's number (0 is PLAINTEXT)."""

    host: str
    port: int
    security_protocol: int


class BrokerImage(NamedTuple):
    """A registered broker. epoch: offset of its registration; endpoints: by listener name."""

    id: int
    epoch: int
    incarnation_id: bytes
    endpoints: dict[str, Endpoint]
    rack: str | None
    fenced: bool
    in_controlled_shutdown: bool
    log_dirs: tuple[bytes, ...]
    features: dict[str, tuple[int, int]] = {}  # the levels that it supports, by name

    @property
    def is_active(self) -> bool:
        """May lead partitions: not fenced and not about to stop."""
        return not self.fenced and not self.in_controlled_shutdown


class PartitionImage(NamedTuple):
    """Who holds a partition. directories: log directory ids, in the order of replicas."""

    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    leader_recovery_state: int = 0
    elr: tuple[int, ...] = ()
    last_known_elr: tuple[int, ...] = ()
    adding_replicas: tuple[int, ...] = ()
    removing_replicas: tuple[int, ...] = ()
    directories: tuple[bytes, ...] = ()


Value = TypeVar("Value", bound=tuple[object, ...])


def shared(value: Value) -> Value:
    """`value`, or an equal one that is there already.

    Most partitions of a cluster are in one of few states: together they cost one object, and an
    entry of their topic's dict each.
    """
    if len(_SHARED) >= SHARED_MAX:
        _SHARED.clear()
    found: Value = _SHARED.setdefault(value, value)
    return found


def shared_single(partitions: dict[int, PartitionImage]) -> dict[int, PartitionImage]:
    """The same for the partitions of a topic that has one: most topics of many are such, and a dict
    of one weighs more than all else of them."""
    (single,) = partitions.items()
    if len(_SINGLES) >= SHARED_MAX:
        _SINGLES.clear()
    return _SINGLES.setdefault(single, partitions)


class TopicImage(NamedTuple):
    """A topic and its partitions by index."""

    name: str
    id: bytes
    partitions: dict[int, PartitionImage]


class MetadataImage(NamedTuple):
    """Everything, as of the record at `offset`, whose batch has leader epoch `epoch`; -1: none.

    The dicts belong to the image: nobody changes them.
    configs: overrides by resource; a resource without overrides has no entry.
    """

    offset: int
    epoch: int
    topics: dict[str, TopicImage]
    topics_by_id: dict[bytes, TopicImage]
    brokers: dict[int, BrokerImage]
    configs: dict[ResourceKey, dict[str, str]]
    features: dict[str, int]
    next_producer_id: int

    @staticmethod
    def empty() -> MetadataImage:
        """Before the first record."""
        return MetadataImage(-1, -1, {}, {}, {}, {}, {}, 0)

    def topic_configs(self, name: str) -> dict[str, str]:
        """The overrides of a topic."""
        return self.configs.get((TOPIC, name), {})

    def group_configs(self, group_id: str) -> dict[str, str]:
        """The settings of a group's own."""
        return self.configs.get((GROUP, group_id), NO_CONFIGS)
