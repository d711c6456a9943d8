"""What groups cost: how soon members consume, and what their life takes from a worker.

    python -m loadtests.groups.instant [--bootstrap HOST:PORT] [--rounds 40] [--trace]
    python -m loadtests.groups.death [--members 200] [--protocol classic|consumer]
    python -m loadtests.groups.heartbeats [--members 10000] [--protocol classic|consumer]

instant asks real clients (kafkajs, librdkafka, Java), each in a process that lives through all
rounds, so that no start of a runtime is in a figure. It measures any cluster: without --bootstrap a
broker of ours is started, with --kafka an Apache Kafka with its default settings.

death and heartbeats speak the protocol themselves (peer.py), so that one process can be hundreds or
thousands of members.

Reading order: members/ (one program per client, all with the same commands), member.py (a client's
process), clusters.py (what is measured), instant.py; trace.py (who waits for whom); peer.py,
classic.py, consumer.py (members of our own), death.py, heartbeats.py.

Non-obvious
- All programs stamp their events with CLOCK_MONOTONIC, which one machine's processes share.
- A member of a classic group hears of a rebalance with its next heartbeat, every 3 s by default:
  the time until a second member consumes is mostly that, on every broker. A member that died: its
  session (6 s here, the least that brokers allow) has to end first.
- The tracing proxy is in the way of what it traces: take figures without it.
"""
