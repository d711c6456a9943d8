"""Exactly once, from end to end: real clients' transactions under faults.

A pipeline is a small program that consumes, transforms and produces in transactions, the way its
client's documentation says, in several instances; every instance writes its history (tests/history
says how). The harness sends inputs, plays a seeded schedule of faults, and in the end reads
everything with all kinds of clients.

    confluent_kafka/ kafkajs/ java/   the same program for three clients; journal.py and
                                      java/Journal.java write histories
    streams/                          an application of Kafka Streams
    clients.py       the table of pipelines and readers, and how they are run
    inputs.py        what is copied; progress.py: how far the copies have come
    instances.py     processes that are killed and frozen; brokers.py: brokers that are killed
    faults.py        the schedule
    run.py           one run; effects.py: inputs against outputs; raw.py: a reader of our own

Non-obvious:
- An output's value names its transaction, so that a value of an aborted one is known on sight.
- KafkaJS does not send a group's generation with offsets; its instances have a transactional id for
  each partition instead, and ask for the stored offset after they have fenced their predecessor.
- FASTBROKER_EOS_BROKER=kafka runs everything against Apache Kafka: what fails there, too, is a
  fault of the harness.
"""
