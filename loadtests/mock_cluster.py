"""A Kafka that does next to nothing: librdkafka's mock cluster, in a process of its own.

    python -m loadtests.mock_cluster [TOPIC ...]

Prints the address to give to --bootstrap. It parses requests and keeps the last few megabytes of
each partition in memory, in one thread of C. What a load test reaches against it is the ceiling of
the load generator on this machine: a broker's figures near it are the generator's.
"""
from __future__ import annotations

import signal
import sys

from confluent_kafka import Producer


def main(topics: list[str]) -> None:
    """Serve until SIGTERM or SIGINT. It cannot be asked to create topics, but does so if named."""
    client = Producer({"test.mock.num.brokers": 1, "log_level": 4})
    broker = next(iter(client.list_topics(timeout=10).brokers.values()))
    for topic in topics:
        client.list_topics(topic, timeout=10)
    print(f"{broker.host}:{broker.port}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1:] or ["loadtest", "loadtest-probe"])
