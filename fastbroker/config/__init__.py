"""Configuration: Kafka's names with Kafka's meanings, checked before anything starts.

    kinds.py      how a value is read from text: INT, LONG, BOOLEAN, LIST, ..., with limits
    keys.py       the broker's keys: one row each
    topic.py      the topics' keys, and TopicConfig: what a log and a partition read
    group.py      the groups' keys
    broker.py     BrokerConfig: a properties file, overrides, defaults
    unserved.py   Kafka's keys that nothing here honours yet

Invariants
- No key is accepted and ignored without a word: an unknown one stops the start with its place and
  the nearest known name; one that Kafka has and we do not serve stops the start when it is set to
  something; one that means nothing in this architecture (`inert`) is named in a log line.
- A value is read once, when the configuration is made.

Non-obvious
- `log.flush.interval.messages` is 1 here: a write is acknowledged when it is on disk. Kafka's own
  default, 9223372036854775807, gives Kafka's behaviour.
- Replication factors of internal topics default to 1, because one host is the default.
"""
