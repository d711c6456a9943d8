"""Kafka's command line tools by the names of its bin/ folder, run from the jars."""
from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.apache_kafka.jars import classpath, libs

TOOLS = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-server": "kafka.Kafka",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}
# A tool lives for a second or two: the quick compiler alone starts it in half the time.
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


def loaded() -> pathlib.Path:
    """The classes of a tool as Java keeps them once loaded; it need not exist."""
    return libs() / "tools.jsa"


def command(
    tool: str,
    args: Sequence[str] = (),
    *,
    heap: str = "256m",
    java_options: Sequence[str] = SHORT_LIVED,
) -> list[str]:
    """The command line that runs `tool`: a name of TOOLS, or the name of a class in the jars."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else "java"
    if java_options is SHORT_LIVED and loaded().exists():
        # Another Java does not take them, and would say so on its standard output.
        java_options = [*java_options, f"-XX:SharedArchiveFile={loaded()}", "-Xlog:disable"]
    return [java, f"-Xmx{heap}", *java_options, *classpath(), TOOLS.get(tool, tool), *args]


def run(tool: str, args: Sequence[str] = (), **how: Any) -> subprocess.CompletedProcess[str]:
    """Run `tool` to its end as text; `how` goes to subprocess.run (timeout 120 s by default)."""
    how.setdefault("timeout", 120)
    return subprocess.run(command(tool, args), text=True, **how)


def keep_loaded(bootstrap: str) -> None:
    """Let a tool that asks a broker leave loaded(), with which tools take half of their time.

    Nothing when it is there, or when this Java cannot make it.
    """
    if loaded().exists():
        return
    fresh = loaded().with_suffix(f".{os.getpid()}")
    options = [*SHORT_LIVED, f"-XX:ArchiveClassesAtExit={fresh}", "-Xlog:disable"]
    subprocess.run(
        command("kafka-topics", ["--bootstrap-server", bootstrap, "--list"], java_options=options),
        capture_output=True, timeout=120,
    )  # fmt: skip
    if fresh.exists():
        fresh.replace(loaded())
