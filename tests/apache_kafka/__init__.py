"""Apache Kafka itself, from Maven Central's jars: a broker on loopback and its command line tools.

The real one is this project's oracle: tests/recordings asks it, tests/interop runs its tools on us.

    python -m tests.apache_kafka resolve [VERSION]      the jars into the cache
    python -m tests.apache_kafka start DIR [--port P] [--set key=value]... [--as-shipped]
    python -m tests.apache_kafka stop DIR
    python -m tests.apache_kafka run kafka-topics --bootstrap-server localhost:9092 --list

Reading order: jars.py (where the jars are), tools.py (name to class), broker.py (one KRaft node).
Needs a JVM (17 or newer) and, for resolve, Maven.
"""
