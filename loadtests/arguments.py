"""The load tests' own options of locust: on the command line, as variables, in the web form."""
from __future__ import annotations

import argparse
from typing import Any

SHAPES = ("none", "ramp", "spike", "soak")
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


def add(parser: Any) -> None:
    """Add them to locust's parser. LOADTEST_SIZE in the environment is --size, and so on."""
    group = parser.add_argument_group("Kafka load test")

    def option(name: str, default: object, say: str, *, web: bool = True, **how: Any) -> None:
        variable = "LOADTEST_" + name[2:].upper().replace("-", "_")
        if not isinstance(default, bool):
            how.setdefault("type", type(default))
        action = group.add_argument(name, default=default, env_var=variable, help=say, **how)
        action.include_in_web_ui = web

    option("--bootstrap", "127.0.0.1:9092", "HOST:PORT[,HOST:PORT...] of any Kafka", web=False)
    option("--topic", "loadtest", "Topic that is written and read; probes use TOPIC-probe")
    option("--partitions", 8, "Partitions of the topics, where they do not exist")
    option("--replication-factor", -1, "Replicas of the topics; -1: the cluster's default")
    option("--retention-bytes", 1 << 30, "Retention of the topics, bytes in all partitions")
    option("--size", 1024, "Bytes of a record's value, at least 16")
    option("--keys", 0, "Different keys; 0: no keys, the client chooses partitions")
    option("--rate", 0.0, "Records a second of each producer; 0: as fast as they are acknowledged")
    option("--in-flight", 2000, "Records of a producer that may wait for their acknowledgement")
    option("--acks", "all", "Who acknowledges", choices=("0", "1", "all"))
    option("--compression", "none", "Of the producers", choices=COMPRESSIONS)
    option("--linger-ms", 5.0, "How long a producer waits for a batch to fill")
    option("--batch-bytes", 1_000_000, "Largest batch of a producer")
    option("--transactional", False, "Producers write in transactions", action="store_true")
    option("--txn-records", 1000, "Records of a transaction")
    option("--group", "", "Group of the consumers; by default a new one for each run")
    option("--group-protocol", "classic", "Of the consumers", choices=("classic", "consumer"))
    option("--offset", "latest", "Where a new group starts", choices=("earliest", "latest"))
    option("--probe-interval", 0.1, "Seconds between the records of an end-to-end user")
    option("--timeout", 30.0, "Seconds after which a record or a request has failed")
    option("--client-config", [], "KEY=VALUE, any setting of librdkafka; may be repeated",
           action="append", type=str, web=False)  # fmt: skip
    option("--shape", "none", "Over --users and --run-time: see loadtests/shapes.py",
           choices=SHAPES, web=False)  # fmt: skip
    option("--warm-up", 0.0, "Seconds at the begin that the report's table leaves out")
    option("--broker-pid", 0, "Process of a broker on this machine: its CPU is in the report")
    option("--label", "", "What the report calls this run; by default the bootstrap address")
    option("--report", "", "Directory for report.md, report.png and run.json at the end of a run",
           web=False)  # fmt: skip


NAMES = (
    "bootstrap", "topic", "partitions", "replication_factor", "retention_bytes", "size", "keys",
    "rate", "in_flight", "acks", "compression", "linger_ms", "batch_bytes", "transactional",
    "txn_records", "group", "group_protocol", "offset", "probe_interval", "timeout",
    "client_config", "shape", "warm_up", "broker_pid", "label",
)  # fmt: skip


def complaint(options: argparse.Namespace) -> str | None:
    """What of `options` cannot be, if anything; the clients say the rest."""
    if options.transactional and options.acks != "all":
        return "--transactional needs --acks all"
    for pair in options.client_config:
        if "=" not in pair:
            return f"--client-config {pair}: KEY=VALUE is wanted"
    for name in ("partitions", "size", "in_flight", "txn_records"):
        if getattr(options, name) < 1:
            return f"--{name.replace('_', '-')} is at least 1"
    return None


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """What a run was told, for its report; secrets of --client-config are left out."""
    told = {name: getattr(options, name) for name in NAMES}
    told["client_config"] = [pair.partition("=")[0] for pair in options.client_config]
    told["users"], told["spawn_rate"] = options.num_users, options.spawn_rate
    told["user_classes"] = list(getattr(options, "user_classes", None) or [])
    return told
