"""The differences from Apache Kafka that are known: accepted with a reason, or open.

Patterns are fnmatch's, in which [[] is an opening bracket. An entry that no answer shows any more
fails the test, as does a difference without an entry: who mends an open one removes its entry.
"""
from __future__ import annotations

import fnmatch
from typing import NamedTuple

from tests.recordings.recordings import Difference


class Accepted(NamedTuple):
    """Differences of one kind: where, and why."""

    scenario: str  # group/function v1
    step: str
    field: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether the difference is of this kind."""
        return (
            fnmatch.fnmatchcase(difference.scenario, self.scenario)
            and fnmatch.fnmatchcase(difference.step, self.step)
            and fnmatch.fnmatchcase(difference.field, self.field)
        )


TEXT = "our errors always say what is wrong; Kafka's have no text here"
SENSE = "Kafka answers UNKNOWN_SERVER_ERROR to what it did not foresee; we name the error"
STRICT = "no client means this, and we refuse what Kafka lets pass"
LENIENT = "no client sends this; we read what Kafka refuses"
REPEATED = "for a duplicate Kafka gives the batch's time although the log did not set it"
PACE = "when no interval is configured, heartbeats are as frequent as the group's size allows"
TWICE = "what is asked for twice is answered twice"
ELR = "eligible leader replicas are not served yet; with them Kafka sets it for the cluster"
NOTHING = "a topic without partitions is answered as it was asked"
ACCEPTED: tuple[Accepted, ...] = (
    # What the cluster has.
    Accepted("api_versions/versions *", "all", "api_keys[[]]", "APIs that we do not serve yet"),
    Accepted("api_versions/versions *", "all", "*_features[[]]", "features of those APIs"),
    Accepted("api_versions/unreadable *", "a client id that is not UTF-8", "",
             "it lists the APIs"),
    Accepted("find_coordinator/*", "*", "error_message", "Kafka's text for success is NONE"),
    Accepted("find_coordinator/*", "a share partition*", "*", "share groups are not served yet"),
    # Configs.
    Accepted("describe_configs/*", "*key*", "*[[]flush.messages].value",
             "our default is to flush before the answer"),
    Accepted("describe_configs/*", "*key*", "*[[]min.insync.replicas].config_source", ELR),
    Accepted("create_topics/*", "*", "*.configs[[]flush.messages].value",
             "our default is to flush before the answer"),
    Accepted("create_topics/*", "*", "*.configs[[]min.insync.replicas].config_source", ELR),
    Accepted("describe_configs/*", "*", "results[[]~-unknown].error_message", TEXT),
    Accepted("describe_configs/*", "client metrics", "*", "client metrics are not served yet"),
    Accepted("incremental_alter_configs/*", "an unknown operation", "*", SENSE),
    Accepted("incremental_alter_configs/refused_for_brokers *", "an unknown key", "*", STRICT),
    Accepted("incremental_alter_configs/refused_for_brokers *", "a topic's key", "*", STRICT),
    Accepted("alter_configs/*", "a topic twice", "", "Kafka never answers; an error is better"),
    # Produce and Fetch.
    Accepted("produce/*", "*", "*.error_message", TEXT),
    Accepted("produce/compressed *", "codec ?", "*.error_code", SENSE),
    Accepted("produce/compressed *", "* that is none", "*.error_code", SENSE),
    Accepted("produce/*", "null records", "", "Kafka never answers; an error is better"),
    Accepted("produce/*", "no partition", "responses[[]]", NOTHING),
    Accepted("produce/damaged *", "a batch and a cut one", "*", STRICT),
    Accepted("produce/damaged *", "bytes behind the batch", "*", STRICT),
    Accepted("produce/damaged *", "the log's time", "*", STRICT),
    Accepted("produce/damaged *", "what it holds", "*", STRICT),
    Accepted("produce/*", "* again", "*.log_append_time_ms", REPEATED),
    Accepted("produce/*", "the fifth last", "*.log_append_time_ms", REPEATED),
    Accepted("produce/in_a_transaction *", "sequence 0", "*.log_append_time_ms", REPEATED),
    Accepted("produce/sequences_go_on *", "sequence 0 in the *", "*.log_append_time_ms", REPEATED),
    Accepted("fetch/isolation *", "level 2", "*", LENIENT),
    Accepted("fetch/isolation *", "level -1", "*", LENIENT),
    Accepted("fetch/limits *", "a negative limit *", "*", LENIENT),
    Accepted("fetch/*", "a partition twice", "*", TWICE),
    Accepted("fetch/*", "a topic twice", "*", TWICE),
    Accepted("fetch/waits *", "the topic is deleted", "*.aborted_transactions",
             "what is unknown has none, also when it has become so while it was waited for"),
    Accepted("fetch/as_a_replica v18", "replica 99", "node_endpoints[[]]",
             "the leader is named beside NOT_LEADER_OR_FOLLOWER for replicas, too (KIP-951)"),
    # Offsets.
    Accepted("list_offsets/*", "level 2, *", "*", LENIENT),
    Accepted("list_offsets/*", "a partition twice", "*", TWICE),
    Accepted("list_offsets/*", "no partition", "topics[[]]", NOTHING),
    Accepted("offset_for_leader_epoch/*", "epoch -2", "*", LENIENT),
    Accepted("delete_records/*", "no partition", "topics[[]]", NOTHING),
    Accepted("delete_records/*", "a topic twice", "topics[[]]", TWICE),
    Accepted("offset_commit/*", "no partition", "topics[[]]", NOTHING),
    Accepted("offset_delete/*", "no partition", "topics[[]]", NOTHING),
    # Consumer groups.
    Accepted("consumer_group_heartbeat/*", "*", "heartbeat_interval_ms", PACE),
    Accepted("group_migration/*", "*", "heartbeat_interval_ms", PACE),
    Accepted("delete_groups/deletes_consumers *", "*", "heartbeat_interval_ms", PACE),
    Accepted("consumer_group_describe/*", "an empty id", "*.error_message", TEXT),
    Accepted("offset_fetch/fetches_of_consumers *", "an epoch, no member", "*.error_code", SENSE),
    # Transactions.
    Accepted("end_txn/*", "write with *", "*.error_message", TEXT),
    Accepted("write_txn_markers/*", "*", "*.partition_responses[[]*].error_message", TEXT),
    Accepted("write_txn_markers/*", "an older epoch", "*.error_code", SENSE),
    Accepted("write_txn_markers/*", "version -1", "*.error_code", SENSE),
    Accepted("describe_producers/*", "*", "*.error_message", TEXT),
    # Topics.
    Accepted("metadata/by_id v10", "*", "*", "we know topic ids in every version that has them"),
    Accepted("metadata/by_id *", "neither", "*", SENSE),
    Accepted("metadata/creates *", "at first", "*",
             "the answer waits for the topic that it creates; Kafka sends the client away once"),
    Accepted("describe_topic_partitions/*", "an empty name", "*", SENSE),
    Accepted("create_partitions/*", "*", "results[[]*].error_message", TEXT),
)  # fmt: skip

OPEN: tuple[Accepted, ...] = (
)  # fmt: skip
KNOWN = ACCEPTED + OPEN


def unaccepted(found: list[Difference]) -> list[Difference]:
    """What no entry covers."""
    return [d for d in found if not any(entry.covers(d) for entry in KNOWN)]


def obsolete(found: list[Difference]) -> list[Accepted]:
    """Entries that cover nothing any more."""
    return [entry for entry in KNOWN if not any(entry.covers(d) for d in found)]
