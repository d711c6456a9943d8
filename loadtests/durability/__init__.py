"""What durability costs: acknowledgements after a flush beside those out of the page cache.

    python -m loadtests.durability [--partitions 1,10,100,1000] [--rounds 5] [--json FILE]

One broker with one worker has two topics for each number of partitions: one that flushes before it
acknowledges (the default), one with flush.messages=9223372036854775807, which is Kafka's default.
They are written to in turns at full load by loadtests/limit/load.c, so that the machine's moods are
in both; what the page cache still holds is synced before each turn. Syncs (fdatasync, fsync,
syncfs) of the worker are counted by the kernel's tracepoints, through perf.

Two profiles: `single`, each request has a batch for one partition, as librdkafka sends them, one
partition after the other; `many`, each has a batch for up to MANY of them, as Java's producers do.
A batch is one record of 1 KiB unless --records says more.

Aims: at least 90 % of the throughput, and at 1,000 partitions at most twice the syncs of one.

Reading order: loadtests/limit/load.c, syncs.py, turns.py, __main__.py.

Non-obvious: the load generator shares the cores with the broker; latencies are those of a broker
that always has `connections` times `in-flight` batches to work on, so compare them, they are not
what an idle one gives. A broker out of the page cache leaves its writing to the kernel's own
threads and to later: the syncs before each turn are in nobody's figures.
"""
