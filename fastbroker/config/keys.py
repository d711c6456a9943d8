"""The broker's keys, one row each: name, kind, default, and what they mean.

Topic-level defaults (log.retention.ms, message.max.bytes, ...) come from config/topic.py, where
each topic key names its broker synonym.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from fastbroker.config.kinds import (
    BOOLEAN,
    INT_MAX,
    LONG_MAX,
    STRING,
    Kind,
    double,
    integer,
    items,
    long,
    short,
    string,
)
from fastbroker.config.topic import TOPIC_KEYS

READ_ONLY, PER_BROKER, CLUSTER_WIDE = "read-only", "per-broker", "cluster-wide"
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SERVED_PROTOCOLS = ("PLAINTEXT",)
MEBIBYTE = 1 << 20


class Key(NamedTuple):
    """One key. inert: accepted for the sake of existing files, without an effect here."""

    name: str
    kind: Kind
    default: Any
    doc: str
    scope: str = READ_ONLY
    inert: bool = False


def _inert(name: str, kind: Kind, default: Any, doc: str) -> Key:
    return Key(name, kind, default, doc, inert=True)


_OWN = (
    # The node and where it listens.
    Key("node.id", integer(1, 999), 1, "id of this host; worker i is broker node.id + 1000 * i"),
    Key("broker.id", integer(-1, 999), -1, "old name of node.id"),
    Key("process.roles", items(("broker", "controller"), at_least=1), ("broker", "controller"),
        "a host runs both"),
    Key("broker.rack", STRING, None, "failure domain of this host"),
    Key("listeners", items(at_least=1), ("PLAINTEXT://127.0.0.1:9092",),
        "NAME://HOST:PORT of worker 0; worker i listens on PORT + i"),
    Key("advertised.listeners", items(at_least=1), None,
        "what clients are told instead of the address they reached"),
    Key("listener.security.protocol.map", STRING,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "protocol of each listener name"),
    Key("inter.broker.listener.name", STRING, None, "the listener that brokers use"),
    Key("controller.listener.names", items(), ("CONTROLLER",),
        "listeners of the controller; on one host it is reached through a Unix socket"),
    Key("log.dir", STRING, "/tmp/kafka-logs", "where data lies when log.dirs is not given"),
    Key("log.dirs", items(at_least=1), None, "where data lies; one directory"),
    Key("fastbroker.workers", integer(0, 256), 0, "worker processes; 0: one a physical core"),
    # Metrics.
    Key("fastbroker.metrics.listener", STRING, "",
        "HOST:PORT that serves /metrics for Prometheus, and /healthz; empty: none"),
    Key("fastbroker.metrics.topics.max", integer(0), 2000,
        "topics of a worker that have series of their own; others are summed as one"),
    Key("fastbroker.metrics.partitions.max", integer(0), 20000,
        "partitions of a worker that have series of their own; others are summed as one"),
    Key("fastbroker.metrics.groups.max", integer(0), 2000,
        "consumer groups of a worker that have series; the others are counted"),
    Key("fastbroker.stop.timeout.ms", integer(1000), 60000,
        "a worker that has not closed its logs by then is killed"),
    # Connections.
    Key("socket.request.max.bytes", integer(1), 104857600, "largest request"),
    Key("socket.listen.backlog.size", integer(1), 1024, "connections waiting to be accepted"),
    Key("max.connections", integer(0), INT_MAX, "connections of one listener of one worker"),
    Key("connections.max.idle.ms", long(), 600000, "an idle connection is closed after this"),
    Key("queued.max.request.bytes", long(), -1,
        "memory of receive buffers a worker may hold; -1: 1 GiB"),
    Key("request.timeout.ms", integer(0), 30000, "wait for the controller's answer"),
    # Registration.
    Key("broker.heartbeat.interval.ms", integer(1), 2000, "between heartbeats to the controller"),
    Key("broker.session.timeout.ms", integer(1), 9000, "a silent broker is fenced after this"),
    _inert("initial.broker.registration.timeout.ms", integer(1), 60000,
           "a worker tries to register for as long as it takes"),
    # Topics.
    Key("num.partitions", integer(1), 1, "partitions of a topic created without a number"),
    Key("default.replication.factor", integer(), 1, "replicas of a topic created without a number"),
    Key("auto.create.topics.enable", BOOLEAN, True, "an unknown topic is created when asked for"),
    Key("delete.topic.enable", BOOLEAN, True, "whether topics can be deleted"),
    Key("max.request.partition.size.limit", integer(1), 2000,
        "partitions in one DescribeTopicPartitions response"),
    # The log.
    Key("log.roll.hours", integer(1), 168, "log.roll.ms in hours"),
    Key("log.roll.jitter.hours", integer(0), 0, "log.roll.jitter.ms in hours"),
    Key("log.retention.hours", integer(), 168, "log.retention.ms in hours"),
    Key("log.retention.minutes", integer(), None, "log.retention.ms in minutes"),
    Key("log.retention.check.interval.ms", long(1), 300000, "between two rounds of retention"),
    Key("log.flush.scheduler.interval.ms", long(), LONG_MAX, "how often flush.ms is looked at"),
    Key("log.flush.offset.checkpoint.interval.ms", integer(0), 60000,
        "between two writes of recovery-point-offset-checkpoint"),
    Key("log.flush.start.offset.checkpoint.interval.ms", integer(0), 60000,
        "between two writes of log-start-offset-checkpoint"),
    Key("replica.high.watermark.checkpoint.interval.ms", long(), 5000,
        "between two writes of replication-offset-checkpoint"),
    Key("log.dir.min.free.bytes", long(-1), -1,
        "below so many free bytes records of clients are refused until there is space again; -1:"
        " 5 % of the file system, at most 1 GiB", CLUSTER_WIDE),
    Key("log.dir.reserved.bytes", long(-1), -1,
        "the last free bytes, which coordinators do not write into either; -1: a quarter of"
        " log.dir.min.free.bytes", CLUSTER_WIDE),
    Key("producer.id.expiration.ms", integer(1), 86400000, "an idle producer id is forgotten",
        CLUSTER_WIDE),
    Key("producer.id.expiration.check.interval.ms", integer(1), 600000,
        "between two looks for idle producer ids"),
    # Compaction.
    Key("log.cleaner.enable", BOOLEAN, True, "whether topics with cleanup.policy=compact are"),
    Key("log.cleaner.threads", integer(0), 1,
        "0: nothing is compacted; otherwise each worker has one thread, more make no difference",
        CLUSTER_WIDE),
    Key("log.cleaner.io.max.bytes.per.second", double(1), 1.7976931348623157e308,
        "what compaction of a worker may read and write", CLUSTER_WIDE),
    Key("log.cleaner.dedupe.buffer.size", long(MEBIBYTE + 1), 128 * MEBIBYTE,
        "most memory for the keys of one cleaning, of which each worker does one at a time",
        CLUSTER_WIDE),
    Key("log.cleaner.io.buffer.load.factor", double(0.01, 1), 0.9,
        "share of that memory that is filled, 24 bytes a key", CLUSTER_WIDE),
    Key("log.cleaner.io.buffer.size", integer(0), 524288,
        "half of it is read at once, at least 4 KiB or one batch", CLUSTER_WIDE),
    Key("log.cleaner.backoff.ms", long(0), 15000, "wait when nothing is to be compacted",
        CLUSTER_WIDE),
    # Fetch.
    Key("fetch.max.bytes", integer(1024), 57671680, "largest fetch response"),
    Key("max.incremental.fetch.session.cache.slots", integer(0), 1000, "fetch sessions kept"),
    # Groups.
    Key("offsets.topic.num.partitions", integer(1), 50, "partitions of __consumer_offsets"),
    Key("offsets.topic.replication.factor", short(1), 1, "replicas of __consumer_offsets"),
    Key("offsets.topic.segment.bytes", integer(1048576), 104857600,
        "segment size of __consumer_offsets"),
    Key("offset.metadata.max.bytes", integer(), 4096, "text that may go with a committed offset"),
    Key("offsets.retention.minutes", integer(1), 10080, "offsets of an empty group are kept"),
    Key("offsets.retention.check.interval.ms", long(1), 600000, "between two looks at offsets"),
    _inert("offsets.commit.timeout.ms", integer(1), 5000,
           "a commit waits for the disk alone, which answers or fails"),
    Key("group.min.session.timeout.ms", integer(), 6000, "smallest session timeout of a member"),
    Key("group.max.session.timeout.ms", integer(), 1800000, "largest session timeout of a member"),
    Key("group.initial.rebalance.delay.ms", integer(), 3000,
        "how long the first join waits for others; when not given, a short adaptive window"),
    Key("group.max.size", integer(1), INT_MAX, "members of one group"),
    Key("group.coordinator.rebalance.protocols",
        items(("consumer", "classic", "share", "streams"), at_least=1),
        ("classic", "consumer", "streams"), "protocols that groups may use; of these, classic and"
        " consumer are served"),
    Key("group.consumer.session.timeout.ms", integer(1), 45000,
        "consumer protocol: a member that is silent for so long is gone"),
    Key("group.consumer.min.session.timeout.ms", integer(1), 45000, "least that a group may set"),
    Key("group.consumer.max.session.timeout.ms", integer(1), 60000, "most that a group may set"),
    Key("group.consumer.heartbeat.interval.ms", integer(1), 5000,
        "consumer protocol: time between two heartbeats; when not given, as short as the number"
        " of members allows"),
    Key("group.consumer.min.heartbeat.interval.ms", integer(1), 5000, "least that a group may set"),
    Key("group.consumer.max.heartbeat.interval.ms", integer(1), 15000, "most that a group may set"),
    Key("group.consumer.assignment.interval.ms", integer(0), 1000,
        "consumer protocol: time between two assignments of a group; when not given, as short as"
        " the size of the group allows", CLUSTER_WIDE),
    Key("group.consumer.min.assignment.interval.ms", integer(0), 0, "least that a group may set"),
    Key("group.consumer.max.assignment.interval.ms", integer(0), 15000,
        "most that a group may set"),
    Key("group.consumer.max.size", integer(1), INT_MAX, "members of one consumer group"),
    Key("group.consumer.assignors", items(("uniform", "range"), at_least=1), ("uniform", "range"),
        "assignors that members may ask for; the first is the default"),
    Key("group.consumer.migration.policy",
        string(("bidirectional", "upgrade", "downgrade", "disabled")), "bidirectional",
        "whether groups change between the classic and the consumer protocol while they live"),
    Key("group.consumer.regex.refresh.interval.ms", integer(10000), 600000,
        "topics that a subscribed regex matches are looked up anew after this"),
    # Transactions.
    Key("transaction.state.log.num.partitions", integer(1), 50,
        "partitions of __transaction_state"),
    Key("transaction.state.log.replication.factor", short(1), 1, "replicas of __transaction_state"),
    Key("transaction.state.log.min.isr", integer(1), 1,
        "min.insync.replicas of __transaction_state"),
    Key("transaction.state.log.segment.bytes", integer(1048576), 104857600,
        "segment size of __transaction_state"),
    Key("transaction.max.timeout.ms", integer(1), 900000,
        "largest transaction.timeout.ms that a producer may ask for"),
    Key("transaction.abort.timed.out.transaction.cleanup.interval.ms", integer(1), 10000,
        "between two looks for transactions that have been open for too long"),
    Key("transactional.id.expiration.ms", integer(1), 604800000,
        "an idle transactional id is forgotten"),
    Key("transaction.remove.expired.transaction.cleanup.interval.ms", integer(1), 3600000,
        "between two looks for idle transactional ids"),
    Key("transaction.partition.verification.enable", BOOLEAN, True,
        "a partition asks the coordinator whether it is in the transaction of a batch",
        CLUSTER_WIDE),
    Key("add.partitions.to.txn.retry.backoff.max.ms", integer(0), 100,
        "a produce waits for the transaction before to be completed"),
    _inert("add.partitions.to.txn.retry.backoff.ms", integer(1), 20,
           "what is waited for says when it is there"),
    _inert("transaction.state.log.load.buffer.size", integer(1), 5242880,
           "transactions are read in pieces of 1 MiB"),
    # Metadata.
    Key("metadata.log.segment.bytes", integer(8388608), 1073741824, "segment size of its log"),
    Key("metadata.log.max.record.bytes.between.snapshots", long(1), 2097152,
        "a start reads so much of its log, beside the snapshot"),
    Key("metadata.log.max.snapshot.interval.ms", long(0), 3600000,
        "a change is in a snapshot after that; 0: whenever that may be"),
    # Kafka's keys without a counterpart in one process per core.
    _inert("num.network.threads", integer(1), 3, "workers are processes: fastbroker.workers"),
    _inert("num.io.threads", integer(1), 8, "workers are processes: fastbroker.workers"),
    _inert("background.threads", integer(1), 10, "there is one loop a worker"),
    _inert("num.recovery.threads.per.data.dir", integer(1), 2, "each worker recovers its own logs"),
    _inert("num.replica.fetchers", integer(1), 1, "one connection between two workers"),
    _inert("queued.max.requests", integer(1), 500, "bounded for each connection"),
    _inert("socket.send.buffer.bytes", integer(), 102400, "the kernel sizes socket buffers"),
    _inert("socket.receive.buffer.bytes", integer(), 102400, "the kernel sizes socket buffers"),
    _inert("fetch.purgatory.purge.interval.requests", integer(), 1000, "nothing to purge"),
    _inert("producer.purgatory.purge.interval.requests", integer(), 1000, "nothing to purge"),
    _inert("delete.records.purgatory.purge.interval.requests", integer(), 1, "nothing to purge"),
    _inert("group.coordinator.threads", integer(1), 4, "groups live on their worker's loop"),
    _inert("group.coordinator.background.threads", integer(1), 2, "groups live on one loop"),
    _inert("group.coordinator.append.linger.ms", integer(-1), -1, "commits share the log's flush"),
    _inert("offsets.load.buffer.size", integer(1), 5242880, "offsets are read in pieces of 1 MiB"),
    _inert("controlled.shutdown.enable", BOOLEAN, True, "a stop is always a controlled one"),
    _inert("auto.leader.rebalance.enable", BOOLEAN, True, "nothing to balance with one replica"),
    _inert("leader.imbalance.check.interval.seconds", long(1), 300, "with one replica: nothing"),
    _inert("replica.lag.time.max.ms", long(), 30000, "nothing lags with one replica"),
    _inert("replica.fetch.max.bytes", integer(0), 1048576, "nobody fetches with one replica"),
    _inert("replica.fetch.wait.max.ms", integer(), 500, "nobody fetches with one replica"),
    _inert("share.coordinator.state.topic.replication.factor", short(1), 1, "no share groups yet"),
    _inert("share.coordinator.state.topic.min.isr", short(1), 1, "no share groups yet"),
    _inert("unstable.api.versions.enable", BOOLEAN, False, "no unstable version is served"),
)  # fmt: skip

_CHOICE_OF_INTER_BROKER = Key(
    "security.inter.broker.protocol", string(SERVED_PROTOCOLS), "PLAINTEXT", "between brokers"
)

KEYS: dict[str, Key] = {key.name: key for key in (*_OWN, _CHOICE_OF_INTER_BROKER)}
for _topic_key in TOPIC_KEYS.values():
    _synonym = _topic_key.synonym
    if _synonym and _synonym not in KEYS:
        KEYS[_synonym] = Key(
            _synonym, _topic_key.kind, _topic_key.broker_default, _topic_key.doc, CLUSTER_WIDE
        )
# What takes effect when the properties file is read again: what can be changed at run time, and the
# older names of the same.
RELOADABLE = frozenset(
    {name for name, key in KEYS.items() if key.scope == CLUSTER_WIDE}
    | {name for key in TOPIC_KEYS.values() for name, _ in key.older}
)
