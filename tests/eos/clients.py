"""The programs that copy and read: how each is run."""
from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.interop import installs

HERE = pathlib.Path(__file__).parent
JAVA_OPTIONS = (
    "-Xmx128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
)


@dataclass(frozen=True)
class Program:
    """A command line without its arguments, and what it adds to the environment."""

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    def line(self, **args: str) -> tuple[list[str], Mapping[str, str]]:
        """The command line with `args`, each as name=value."""
        return [*self.command, *(f"{name}={value}" for name, value in args.items())], self.env


def confluent_kafka() -> Program:
    return Program([sys.executable, "-m", "tests.eos.confluent_kafka.client"])


def kafkajs() -> Program:
    modules = installs.npm("kafkajs")
    node = str(installs.node() / "node")
    env = {"NODE_PATH": str(modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}
    return Program([node, "--no-warnings", str(HERE / "kafkajs" / "client.js")], env)


def java() -> Program:
    return Program(["java", *JAVA_OPTIONS, "-cp", installs.java(HERE / "java"), "Client"])


def streams() -> Program:
    return Program(["java", *JAVA_OPTIONS, "-cp", installs.java(HERE / "streams"), "WordCount"])


@dataclass(frozen=True)
class Pipeline:
    """A program that copies, and how it shares the input's partitions with its like.

    owned: each instance has its partitions for good, and its transactional id is what fences a
    zombie; otherwise the group assigns them, and the group's generation (with KafkaJS: the
    transactional id of the partition) does.
    """

    name: str
    program: Callable[[], Program]
    owned: bool = False
    protocol: str = "classic"


PIPELINES = (
    Pipeline("kafkajs", kafkajs),
    Pipeline("confluent_kafka", confluent_kafka),
    Pipeline("confluent_kafka_owned", confluent_kafka, owned=True),
    Pipeline("confluent_kafka_848", confluent_kafka, protocol="consumer"),
    Pipeline("java", java),
    Pipeline("java_owned", java, owned=True),
    Pipeline("java_848", java, protocol="consumer"),
)
READERS: Mapping[str, Callable[[], Program]] = {
    "confluent_kafka": confluent_kafka,
    "kafkajs": kafkajs,
    "java": java,
}
