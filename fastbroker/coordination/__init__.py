"""What the coordinators of groups and of transactions share: partitions of an internal topic.

A coordinator keeps its state in the partitions of an internal topic that its broker leads. A
partition's state in memory is a shard: replayed from the log when the partition is led anew, given
up when it is not led any more. Everything here is decided from values; the log is read and written
by whoever passes in its batches and `append`.

Reading order
    topics.py         the internal topics
    hashing.py        which partition keeps a key
    topic_shards.py   elections, loading, finding the shard of a key
    append_error.py   what a client is told when a write has failed
    regex.py          expressions that clients bring
    added_partitions.py  partitions as a request to add them to a transaction names them
    rated_log.py      lines in the log, few whatever clients do

Invariants
- A shard serves nothing before its partition's log is replayed, and nothing after it has ended.
- A partition that is led in a newer epoch is replayed from scratch: what was in memory is dropped.
"""
