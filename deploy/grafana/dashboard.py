"""What fastbroker.json shows. After a change: `python deploy/grafana/dashboard.py --write`."""
from __future__ import annotations

import argparse
import json
import pathlib
import sys

from panels import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    Panel,
    bars,
    dashboard,
    graph,
    source_variable,
    stat,
    table,
    variable,
)

FILE = pathlib.Path(__file__).with_name("fastbroker.json")
GOOD_ABOVE_0 = ((None, RED), (1, GREEN))
BAD_ABOVE_0 = ((None, GREEN), (1, RED))
PLAIN = ((None, BLUE),)
DISK = ((None, GREEN), (0.8, AMBER), (0.9, RED))
REQUESTS = "kafka_network_requestmetrics_requests_total"
STAGES = "fastbroker_request_stage_seconds"
TOTAL, PRODUCE = 'HOST, stage="total"', 'HOST, stage="total", request="Produce"'
USED = "1 - fastbroker_disk_free_bytes{HOST} / fastbroker_disk_size_bytes{HOST}"


def quantile(share: float, histogram: str, by: str = "", labels: str = "HOST") -> str:
    """PromQL: below which value `share` of what `histogram` counted lately lies."""
    groups = f"le, {by}" if by else "le"
    rate = f"rate({histogram}_bucket{{{labels}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({groups}) ({rate}))"


def per_second(counter: str, by: str = "", labels: str = "HOST") -> str:
    """PromQL: how fast `counter` grows."""
    return f"sum by ({by}) (rate({counter}{{{labels}}}[$__rate_interval]))"


OVERVIEW = [
    stat("Hosts up", 'sum(up{job=~"$job", instance=~"$instance"})', steps=GOOD_ABOVE_0,
        help="Hosts whose metrics Prometheus could fetch."),
    stat("Silent processes", "sum(1 - fastbroker_up{HOST})", steps=BAD_ABOVE_0,
        help="Processes that did not answer the last scrape; the watchdog restarts what hangs."),
    stat("Restarts, last hour",
        "round(sum(increase(fastbroker_process_restarts_total{HOST}[1h])))", steps=BAD_ABOVE_0,
        help="Processes that ended and were started again by the supervisor."),
    stat("Partitions", "sum(kafka_server_replicamanager_partitioncount{HOST})", steps=PLAIN,
        help="Partitions that the hosts keep, internal topics included."),
    stat("Under-replicated", "sum(kafka_server_replicamanager_underreplicatedpartitions{HOST})",
        steps=BAD_ABOVE_0, help="Partitions with fewer replicas in sync than assigned."),
    stat("Offline", "max(kafka_controller_kafkacontroller_offlinepartitionscount{HOST})",
        steps=BAD_ABOVE_0, help="Partitions without a leader: nobody can write or read them."),
    stat("Groups", "count(count by (consumergroup) (kafka_consumergroup_members{HOST}))",
        steps=PLAIN, help="Consumer groups with members or committed offsets."),
    stat("Connections", "sum(fastbroker_connections{HOST})", steps=PLAIN,
        help="Open connections of clients."),
    stat("Records in a second",
        "sum(rate(kafka_server_brokertopicmetrics_messagesin_total{HOST}[$__rate_interval]))",
        steps=PLAIN, help="What producers appended."),
    stat("Bytes in", "sum(rate("
        "kafka_server_brokertopicmetrics_bytesin_total{HOST}[$__rate_interval]))",
        unit="Bps", steps=PLAIN),
    stat("Bytes out", "sum(rate("
        "kafka_server_brokertopicmetrics_bytesout_total{HOST}[$__rate_interval]))",
        unit="Bps", steps=PLAIN),
    stat("Produce, p99", quantile(0.99, STAGES, labels=PRODUCE), unit="s", steps=PLAIN,
        help="From the request's arrival until its answer is sent, that is on disk by default."),
    stat("Longest lag", "max(fastbroker_consumergroup_lag_seconds{HOST})", unit="s",
        steps=((None, GREEN), (60, AMBER), (600, RED)),
        help="Age of the oldest record that some group has not read."),
    stat("Lag, of retention", "max(fastbroker_consumergroup_lag_seconds{HOST} / "
        "(fastbroker_consumergroup_lag_seconds{HOST}"
        " + fastbroker_consumergroup_lag_lost_in_seconds{HOST}))", unit="percentunit", decimals=0,
        none="0%", steps=((None, GREEN), (0.5, AMBER), (0.8, RED)),
        help="Of the time that the oldest unread record is kept for, how much has gone; at 100 %"
        " retention deletes it unread."),
    stat("Fullest disk", f"max({USED})", unit="percentunit", decimals=0, steps=DISK),
    stat("Flush, p99", quantile(0.99, "fastbroker_flush_seconds"), unit="s",
        steps=((None, GREEN), (0.1, RED)), help="What the disk adds to every acknowledgement."),
]  # fmt: skip

TRAFFIC = [
    graph("Records in a second, by topic", {
        "{{topic}}": "topk(10, sum by (topic) (rate("
        "kafka_server_brokertopicmetrics_messagesin_total{HOST, TOPIC}[$__rate_interval])))",
    }, stacked=True, help="What producers appended; the ten busiest topics."),
    graph("Bytes in, by topic", {
        "{{topic}}": "topk(10, sum by (topic) (rate("
        "kafka_server_brokertopicmetrics_bytesin_total{HOST, TOPIC}[$__rate_interval])))",
    }, unit="Bps", stacked=True, help="As stored, that is compressed if the producer compresses."),
    graph("Bytes out, by topic", {
        "{{topic}}": "topk(10, sum by (topic) (rate("
        "kafka_server_brokertopicmetrics_bytesout_total{HOST, TOPIC}[$__rate_interval])))",
    }, unit="Bps", stacked=True, help="What consumers fetched; above bytes in: several groups."),
    graph("Requests, by API", {
        "{{request}}": f"topk(10, {per_second(REQUESTS, 'request')})",
    }, unit="reqps", stacked=True, help="Answered requests a second; the ten most frequent APIs."),
    graph("Errors a second, by API and error", {
        "{{request}} {{error}}": "topk(10, sum by (request, error) (rate("
        "kafka_network_requestmetrics_errors_total{HOST}[$__rate_interval])))",
    }, help="Error codes sent to clients. Some are a client's normal life"
        " (NOT_COORDINATOR, REBALANCE_IN_PROGRESS); a rate that stays is not."),
    graph("Records a produce request", {
        "records": "sum(rate(kafka_server_brokertopicmetrics_messagesin_total{HOST, TOPIC}"
        f"[$__rate_interval])) / sum(rate({REQUESTS}"
        '{HOST, request="Produce"}[$__rate_interval]))',
    }, help="Under ten at high rates: producers would gain from a larger linger.ms."),
]  # fmt: skip

LATENCY = [
    graph("Produce, p99 by stage", {
        "{{stage}}": quantile(0.99, STAGES, "stage", 'HOST, request="Produce"'),
    }, unit="s", help="queue: until it is handled; append: into the log; flush: until it is on"
        " disk; replicate: until followers have it; send: until the socket has the answer."),
    graph("Produce, p50 by stage", {
        "{{stage}}": quantile(0.5, STAGES, "stage", 'HOST, request="Produce"'),
    }, unit="s"),
    graph("All requests, p99 by API", {
        "{{request}}": f"topk(10, {quantile(0.99, STAGES, 'request', TOTAL)})",
    }, unit="s", help="The ten slowest. Fetch waits for records up to the consumer's"
        " fetch.max.wait.ms, JoinGroup and SyncGroup for other members: that is no slowness."),
    graph("Flush to disk", {
        "p99": quantile(0.99, "fastbroker_flush_seconds"),
        "p50": quantile(0.5, "fastbroker_flush_seconds"),
    }, unit="s", steps=((None, GREEN), (0.1, RED)),
        help="One fdatasync of the flush thread. An ack waits for it: this is the disk's share."),
    graph("Batches a flush", {
        "p99": quantile(0.99, "fastbroker_flush_batches"),
        "p50": quantile(0.5, "fastbroker_flush_batches"),
    }, help="Record batches that one flush acknowledged: group commit at work."),
    graph("Flushes", {
        "{{instance}}": per_second("fastbroker_flush_seconds_count", "instance"),
    }, unit="ops"),
]  # fmt: skip

LAG = [
    graph("Lag in records", {
        "{{consumergroup}} {{topic}}":
        "topk(10, sum by (consumergroup, topic) (kafka_consumergroup_lag_sum{HOST, GROUP, TOPIC}))",
    }, help="Committed offset to the log's end; the ten furthest behind."),
    graph("Lag in time", {
        "{{consumergroup}} {{topic}}": "topk(10, max by (consumergroup, topic)"
        " (fastbroker_consumergroup_lag_seconds{HOST, GROUP, TOPIC}))",
    }, unit="s", help="Age of the first record that the group has not read."),
    graph("Time left until records are lost", {
        "{{consumergroup}} {{topic}}": "bottomk(10, min by (consumergroup, topic)"
        " (fastbroker_consumergroup_lag_lost_in_seconds{HOST, GROUP, TOPIC}))",
    }, unit="s", steps=((None, RED), (21600, GREEN)),
        help="Until retention deletes the first record that the group has not read; the nearest"
        " ten. No line: the group has read everything, or nothing will be deleted."),
    table("Groups", {
        "lag": "topk(50, sum by (consumergroup, topic)"
        " (kafka_consumergroup_lag_sum{HOST, GROUP, TOPIC}))",
        "seconds": "max by (consumergroup, topic)"
        " (fastbroker_consumergroup_lag_seconds{HOST, GROUP, TOPIC})",
        "left": "min by (consumergroup, topic)"
        " (fastbroker_consumergroup_lag_lost_in_seconds{HOST, GROUP, TOPIC})",
        "rate": "sum by (consumergroup, topic) (rate("
        "kafka_consumergroup_current_offset{HOST, GROUP, TOPIC}[5m]))",
    }, columns={"consumergroup": "Group", "topic": "Topic", "Value #A": "Lag, records",
        "Value #B": "Lag, time", "Value #C": "Lost in", "Value #D": "Reads, records/s"},
        column_units={"Lag, time": "s", "Lost in": "s"}, width=16,
        help="The 50 furthest behind. Reads: how fast its committed offsets advance."),
    graph("Members", {
        "{{consumergroup}}": "topk(10, sum by (consumergroup)"
        " (kafka_consumergroup_members{HOST, GROUP}))",
    }, help="A group with lag and without members is read by nobody."),
]  # fmt: skip

STORAGE = [
    stat("Offline log directories", "sum(kafka_log_logmanager_offlinelogdirectorycount{HOST})",
        steps=BAD_ABOVE_0, width=6, help="Given up after an I/O error; partitions are offline."),
    stat("Disks that refuse records", "sum(fastbroker_disk_free_bytes{HOST} < bool"
        " on (job, instance) group_left () max by (job, instance)"
        " (fastbroker_disk_min_free_bytes{HOST}))",
        steps=BAD_ABOVE_0, width=6, help="Free space fell below log.dir.min.free.bytes."),
    stat("Logs", "sum(kafka_log_log_size{HOST, TOPIC})", unit="bytes", width=6, steps=PLAIN,
        help="Bytes of the segments of the chosen topics, all replicas on these hosts."),
    stat("Space used", f"max({USED})", unit="percentunit", width=6, decimals=1, steps=DISK,
        help="Of the fullest disk."),
    bars("Largest topics", {
        "{{topic}}": "topk(10, sum by (topic) (kafka_log_log_size{HOST, TOPIC}))",
    }, unit="bytes", help="Bytes of their logs on these hosts, all replicas."),
    graph("Log size, by topic", {
        "{{topic}}": "topk(10, sum by (topic) (kafka_log_log_size{HOST, TOPIC}))",
    }, unit="bytes", stacked=True),
    graph("Disk free", {
        "{{instance}} {{directory}}": "fastbroker_disk_free_bytes{HOST}",
        "{{instance}} refuses records below": "max by (instance)"
        " (fastbroker_disk_min_free_bytes{HOST})",
    }, unit="bytes", help="Below log.dir.min.free.bytes the broker refuses new records."),
]  # fmt: skip

EACH = "{{instance}} {{process}}"
PROCESSES = [
    graph("CPU", {EACH: per_second("process_cpu_seconds_total", "instance, process")},
        unit="percentunit", help="100 %: one core. A worker at 100 % limits its partitions."),
    graph("Memory", {EACH: "sum by (instance, process) (process_resident_memory_bytes{HOST})"},
        unit="bytes", help="Resident; pages that the forked processes share count in each."),
    graph("Event-loop delay, p99", {
        EACH: quantile(0.99, "fastbroker_event_loop_delay_seconds", "instance, process"),
    }, unit="s", help="How late a timer runs: every client of that process waits as long."),
    graph("Connections, by process", {
        EACH: "sum by (instance, process) (fastbroker_connections{HOST})",
    }, stacked=True),
    graph("Descriptors, of the limit", {
        EACH: "max by (instance, process) (process_open_fds{HOST} / process_max_fds{HOST})",
    }, unit="percentunit", help="Connections and open logs. At 100 % (LimitNOFILE) new ones are"
        " refused."),
    graph("Restarts, an hour", {
        EACH: "sum by (instance, process)"
        " (increase(fastbroker_process_restarts_total{HOST}[1h]))",
    }),
]  # fmt: skip

ROWS: dict[str, list[Panel]] = {
    "Overview": OVERVIEW,
    "Traffic": TRAFFIC,
    "Latency": LATENCY,
    "Consumer lag": LAG,
    "Storage": STORAGE,
    "Processes": PROCESSES,
}
VARIABLES = [
    source_variable(),
    variable("job", "Job", "label_values(kafka_brokers, job)"),
    variable("instance", "Host", 'label_values(kafka_brokers{job=~"$job"}, instance)'),
    variable("topic", "Topic", "label_values(kafka_topic_partitions{HOST}, topic)"),
    variable("group", "Group", "label_values(kafka_consumergroup_members{HOST}, consumergroup)"),
]


def text() -> str:
    """fastbroker.json as it should be."""
    whole = dashboard(
        "fastbroker",
        ROWS,
        VARIABLES,
        uid="fastbroker",
        tags=["kafka", "fastbroker"],
        description="A Kafka broker: traffic, latency, consumer lag, disks and processes.",
    )
    return json.dumps(whole, indent=1) + "\n"


def main() -> int:
    """Write fastbroker.json, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write it; otherwise compare")
    if parser.parse_args().write:
        FILE.write_text(text())
    elif not FILE.exists() or FILE.read_text() != text():
        print("fastbroker.json is out of date: run this with --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
