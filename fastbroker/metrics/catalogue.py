"""Every family that /metrics serves; deploy/prometheus/metrics.md is made from it.

A name that the JMX exporter's rules for Kafka give to one of Kafka's MBeans, or that kafka_exporter
uses, means here what it means there; all else begins with fastbroker_ or, where it is about a
process, process_.
"""
from __future__ import annotations

from fastbroker.metrics.family import COUNTER, GAUGE, HISTOGRAM, UNTYPED, Family

# Upper bounds of everything that takes time: 1, 2, 5 of each power of ten, in nanoseconds and as
# they are told. _c.meter finds the bucket.
LATENCY_NS = (*(digit * 10**power for power in range(4, 10) for digit in (1, 2, 5)), 10**10)
LATENCY_S = tuple(bound / 1e9 for bound in LATENCY_NS)
SIZES = tuple(float(2**power) for power in range(13))  # 1 to 4096

P, TP = ("process",), ("topic", "partition")
GROUP_TP = ("consumergroup", "topic", "partition")

# ---- requests

REQUESTS = Family(
    "kafka_network_requestmetrics_requests_total", COUNTER,
    "Requests that were read and taken up, by API and version",
    (*P, "request", "version"),
)  # fmt: skip
ERRORS = Family(
    "kafka_network_requestmetrics_errors_total", COUNTER,
    "Error codes in answers, one for each partition, topic or resource that has one; NONE is left"
    " out",
    (*P, "request", "error"),
)  # fmt: skip
REQUEST_BYTES = Family(
    "fastbroker_request_bytes_total", COUNTER,
    "Bytes of requests with their size prefixes, by API", (*P, "request"),
)  # fmt: skip
RESPONSE_BYTES = Family(
    "fastbroker_response_bytes_total", COUNTER,
    "Bytes of answers with their size prefixes, by API", (*P, "request"),
)  # fmt: skip
STAGE = Family(
    "fastbroker_request_stage_seconds", HISTOGRAM,
    "Time a request spends in each stage. queue: read, and waiting for its turn; append: decoded"
    " and handled, a produce's records are in the log; flush: until they are on disk; replicate:"
    " until other replicas have them, of which there are none yet; wait: what any other API waits"
    " for: records, members, the controller; send: until the socket has the answer; total: all",
    (*P, "request", "stage"), LATENCY_S,
)  # fmt: skip

# ---- topics

MESSAGES_IN = Family(
    "kafka_server_brokertopicmetrics_messagesin_total", COUNTER,
    "Records appended, by topic", (*P, "topic"),
)  # fmt: skip
BYTES_IN = Family(
    "kafka_server_brokertopicmetrics_bytesin_total", COUNTER,
    "Bytes of batches appended, by topic", (*P, "topic"),
)  # fmt: skip
BYTES_OUT = Family(
    "kafka_server_brokertopicmetrics_bytesout_total", COUNTER,
    "Bytes of batches in answers to fetches, by topic", (*P, "topic"),
)  # fmt: skip
TOPICS_FOLDED = Family(
    "fastbroker_topics_folded", GAUGE,
    'Topics that are summed under topic="(other)" (fastbroker.metrics.topics.max)', P,
)  # fmt: skip
PARTITIONS_FOLDED = Family(
    "fastbroker_partitions_folded", GAUGE,
    'Partitions that are summed under partition="(other)" (fastbroker.metrics.partitions.max)', P,
)  # fmt: skip

# ---- partitions; one process tells of each

CURRENT_OFFSET = Family(
    "kafka_topic_partition_current_offset", GAUGE,
    "Offset that consumers can read up to", TP,
)  # fmt: skip
OLDEST_OFFSET = Family(
    "kafka_topic_partition_oldest_offset", GAUGE, "First offset that can be read", TP
)
LEADER = Family("kafka_topic_partition_leader", GAUGE, "Id of the broker that leads", TP)
REPLICAS = Family("kafka_topic_partition_replicas", GAUGE, "Replicas", TP)
IN_SYNC = Family("kafka_topic_partition_in_sync_replica", GAUGE, "Replicas that are in sync", TP)
IS_PREFERRED = Family(
    "kafka_topic_partition_leader_is_preferred", GAUGE,
    "Whether the first of the replicas leads", TP,
)  # fmt: skip
UNDER_REPLICATED = Family(
    "kafka_topic_partition_under_replicated_partition", GAUGE,
    "Whether some replicas are not in sync", TP,
)  # fmt: skip
LOG_SIZE = Family("kafka_log_log_size", GAUGE, "Bytes of a log's segments", TP)
LOG_SEGMENTS = Family("kafka_log_log_numlogsegments", GAUGE, "Segments of an open log", TP)
LOG_START = Family("kafka_log_log_logstartoffset", GAUGE, "Offset that a log begins with", TP)
LOG_END = Family("kafka_log_log_logendoffset", GAUGE, "Offset that the next record gets", TP)
TOPIC_PARTITIONS = Family("kafka_topic_partitions", GAUGE, "Partitions of a topic", ("topic",))

# ---- a broker's partitions, groups and state

PARTITION_COUNT = Family(
    "kafka_server_replicamanager_partitioncount", GAUGE, "Partitions that a broker has", P
)
LEADER_COUNT = Family(
    "kafka_server_replicamanager_leadercount", GAUGE, "Partitions that a broker leads", P
)
UNDER_REPLICATED_COUNT = Family(
    "kafka_server_replicamanager_underreplicatedpartitions", GAUGE,
    "Partitions that a broker leads and of which some replicas are not in sync", P,
)  # fmt: skip
UNDER_MIN_ISR = Family(
    "kafka_server_replicamanager_underminisrpartitioncount", GAUGE,
    "Partitions that a broker leads with fewer replicas in sync than min.insync.replicas", P,
)  # fmt: skip
OFFLINE_REPLICAS = Family(
    "kafka_server_replicamanager_offlinereplicacount", GAUGE,
    "Replicas in a log directory that has failed", P,
)  # fmt: skip
OFFLINE_DIRS = Family(
    "kafka_log_logmanager_offlinelogdirectorycount", GAUGE, "Log directories that have failed", P
)
OPEN_LOGS = Family(
    "fastbroker_open_logs", GAUGE, "Logs that are open; others are opened when needed", P
)
MIN_FREE = Family(
    "fastbroker_disk_min_free_bytes", GAUGE,
    "Free space below which a broker refuses records (log.dir.min.free.bytes)", P,
)  # fmt: skip
REFUSES = Family(
    "fastbroker_disk_refuses_records", GAUGE,
    "Whether a broker refuses records for want of space", P,
)  # fmt: skip
METADATA_APPLIED = Family(
    "fastbroker_metadata_applied_offset", GAUGE,
    "Offset of the metadata log that a broker has applied", P,
)  # fmt: skip
METADATA_LAG = Family(
    "fastbroker_metadata_lag_records", GAUGE,
    "Committed records of the metadata log that a broker has not applied yet", P,
)  # fmt: skip
FETCH_SESSIONS = Family(
    "kafka_server_fetchsessioncache_numincrementalfetchsessions", GAUGE,
    "Incremental fetch sessions", P,
)  # fmt: skip
NUM_GROUPS = Family(
    "kafka_coordinator_group_groupmetadatamanager_numgroups", GAUGE,
    "Groups that a broker coordinates", P,
)  # fmt: skip
GROUPS = Family(
    "fastbroker_groups", GAUGE, "Groups that a broker coordinates, by protocol and state",
    (*P, "protocol", "state"),
)  # fmt: skip
GROUP_MEMBERS = Family(
    "fastbroker_group_members", GAUGE, "Members of groups that a broker coordinates, by protocol",
    (*P, "protocol"),
)  # fmt: skip

# ---- flushes, connections, the loop

FLUSH_SECONDS = Family(
    "fastbroker_flush_seconds", HISTOGRAM,
    "Time from the begin of a flush until the loop knows of its end", P, LATENCY_S,
)  # fmt: skip
FLUSH_BATCHES = Family(
    "fastbroker_flush_batches", HISTOGRAM, "Batches that one flush made durable", P, SIZES
)
FLUSH_BYTES = Family(
    "fastbroker_flush_bytes_total", COUNTER, "Bytes of batches that were made durable", P
)
CONNECTIONS = Family("fastbroker_connections", GAUGE, "Connections of clients that are open", P)
CONNECTIONS_OPENED = Family(
    "fastbroker_connections_opened_total", COUNTER, "Connections of clients that were accepted", P
)
CONNECTIONS_REFUSED = Family(
    "fastbroker_connections_refused_total", COUNTER,
    "Connections of clients that were refused: too many were open", P,
)  # fmt: skip
RECEIVE_BYTES = Family(
    "fastbroker_receive_buffer_bytes", GAUGE, "Memory that requests arrive in", P
)
UNSENT_BYTES = Family(
    "fastbroker_unsent_bytes", GAUGE, "Bytes of answers that wait in memory to be sent", P
)
LOOP_DELAY = Family(
    "fastbroker_event_loop_delay_seconds", HISTOGRAM,
    "How late a timer of the event loop runs that is set ten times a second", P, LATENCY_S,
)  # fmt: skip

# ---- the cluster, as the controller sees it

BROKERS = Family("kafka_brokers", GAUGE, "Brokers that are registered and not fenced")
ACTIVE_CONTROLLER = Family(
    "kafka_controller_kafkacontroller_activecontrollercount", GAUGE,
    "Whether this host's controller leads the metadata quorum",
)  # fmt: skip
ACTIVE_BROKERS = Family(
    "kafka_controller_kafkacontroller_activebrokercount", GAUGE,
    "Brokers that are registered and not fenced",
)  # fmt: skip
FENCED_BROKERS = Family(
    "kafka_controller_kafkacontroller_fencedbrokercount", GAUGE,
    "Brokers that are registered and fenced",
)  # fmt: skip
GLOBAL_TOPICS = Family(
    "kafka_controller_kafkacontroller_globaltopiccount", GAUGE, "Topics of the cluster"
)
GLOBAL_PARTITIONS = Family(
    "kafka_controller_kafkacontroller_globalpartitioncount", GAUGE, "Partitions of the cluster"
)
OFFLINE_PARTITIONS = Family(
    "kafka_controller_kafkacontroller_offlinepartitionscount", GAUGE,
    "Partitions of the cluster that have no leader",
)  # fmt: skip
IMBALANCE = Family(
    "kafka_controller_kafkacontroller_preferredreplicaimbalancecount", GAUGE,
    "Partitions of the cluster that another replica leads than the preferred one",
)  # fmt: skip
METADATA_COMMITTED = Family(
    "kafka_controller_kafkacontroller_lastcommittedrecordoffset", GAUGE,
    "Offset of the last committed record of the metadata log",
)  # fmt: skip

# ---- processes and the host

UP = Family("fastbroker_up", GAUGE, "Whether a process answered this scrape in time", P)
ANSWER_SECONDS = Family(
    "fastbroker_answer_seconds", GAUGE, "How long a process took to answer this scrape", P
)
RESTARTS = Family(
    "fastbroker_process_restarts_total", COUNTER,
    "How often a process has ended and was started again", P,
)  # fmt: skip
CPU = Family("process_cpu_seconds_total", COUNTER, "CPU time of a process, user and system", P)
RESIDENT = Family(
    "process_resident_memory_bytes", GAUGE,
    "Resident memory of a process, with what it shares with others", P,
)  # fmt: skip
OPEN_FDS = Family("process_open_fds", GAUGE, "Open file descriptors of a process", P)
MAX_FDS = Family("process_max_fds", GAUGE, "Limit of open file descriptors of a process", P)
START_TIME = Family(
    "process_start_time_seconds", GAUGE, "When a process was started, since the epoch", P
)
DISK_FREE = Family(
    "fastbroker_disk_free_bytes", GAUGE, "Free bytes of the file system that data lies on",
    ("directory",),
)  # fmt: skip
DISK_SIZE = Family(
    "fastbroker_disk_size_bytes", GAUGE, "Bytes of the file system that data lies on",
    ("directory",),
)  # fmt: skip
BUILD_INFO = Family("fastbroker_build_info", GAUGE, "Always 1; the version", ("version",))

# ---- consumer lag: of partitions with an offset that a group has committed, and of the other
# partitions of those topics, -1: nothing is committed there

GROUP_OFFSET = Family(
    "kafka_consumergroup_current_offset", GAUGE, "Offset that a group has committed", GROUP_TP
)
GROUP_OFFSET_SUM = Family(
    "kafka_consumergroup_current_offset_sum", UNTYPED,
    "The offsets that a group has committed in the partitions of a topic, added up",
    ("consumergroup", "topic"),
)  # fmt: skip
LAG = Family(
    "kafka_consumergroup_lag", GAUGE,
    "Offsets from the one that a group has committed to the end of the log (high watermark)",
    GROUP_TP,
)  # fmt: skip
LAG_SUM = Family(  # a gauge, whose name has a suffix that promtool keeps for histograms
    "kafka_consumergroup_lag_sum", UNTYPED,
    "The lag of a group in all partitions of a topic with a committed offset",
    ("consumergroup", "topic"),
)  # fmt: skip
GROUP_MEMBER_COUNT = Family(
    "kafka_consumergroup_members", GAUGE, "Members of a group", ("consumergroup",)
)
LAG_SECONDS = Family(
    "fastbroker_consumergroup_lag_seconds", GAUGE,
    "Age of the first record that a group has not committed, by its timestamp; 0: it has all",
    GROUP_TP,
)  # fmt: skip
LAG_UNCERTAINTY = Family(
    "fastbroker_consumergroup_lag_seconds_uncertainty", GAUGE,
    "By how much lag_seconds may be too large, where it was not read to the record", GROUP_TP,
)  # fmt: skip
LAG_UNTIMED = Family(
    "fastbroker_consumergroup_lag_untimed_partitions", GAUGE,
    "Partitions of groups with a lag whose lag_seconds this page does not tell",
)  # fmt: skip
LOST_IN_SECONDS = Family(
    "fastbroker_consumergroup_lag_lost_in_seconds", GAUGE,
    "Time until retention may delete the first record that a group has not committed, below 0:"
    " since it might; none: it will not", GROUP_TP,
)  # fmt: skip
LOST_RECORDS = Family(
    "fastbroker_consumergroup_lost_records", GAUGE,
    "Offsets that were deleted before a group has committed them; they are part of its lag",
    GROUP_TP,
)  # fmt: skip
GROUPS_FOLDED = Family(
    "fastbroker_consumergroups_folded", GAUGE,
    "Groups of which this page tells nothing (fastbroker.metrics.groups.max)",
)  # fmt: skip
LAG_FOLDED = Family(
    "fastbroker_consumergroup_partitions_folded", GAUGE,
    "Partitions of groups that this page tells in the sums of their topics only",
)  # fmt: skip

FAMILIES: dict[str, Family] = {
    one.name: one for one in list(globals().values()) if isinstance(one, Family)
}
