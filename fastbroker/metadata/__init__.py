"""The cluster's metadata: a state machine over Kafka's metadata records.

    image.py        the state at one offset, as an immutable value
    delta.py        records applied to an image; what they changed
    snapshot.py     an image as records
    controller/     the active controller's rules: a request and an image in, records out

Pure: no clock, chance or I/O. The controller process applies a record after it is committed, a
worker when it has fetched it; both get the same images.

Invariants
- An image never changes; a delta copies what it touches.
- A record that cannot be understood stops the replay: half-understood metadata loses data.

Not done: records of ACLs, quotas, SCRAM, delegation tokens, metadata transactions.

Non-obvious: a topic's configs have no tombstones when it is deleted, RemoveTopicRecord takes them
along; a PartitionChangeRecord that names the leader raises the leader epoch even if it is the same.
"""
