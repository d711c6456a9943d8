"""The active controller's rules: an image and a request in, records and an answer out.

    outcome.py       what a rule returns
    brokers.py       registration, heartbeats, sessions, fencing, controlled shutdown
    elections.py     leaders and ISRs when a broker goes or comes
    topics.py        CreateTopics, DeleteTopics;  partitions.py: CreatePartitions
    placement.py     which brokers hold a new partition
    configs.py       AlterConfigs, IncrementalAlterConfigs
    features.py      UpdateFeatures
    producer_ids.py  blocks of producer ids

A rule sees the newest image, also of records that are not on disk yet; its answer goes out when
they are. What is not in the image (sessions) is lost with the process and made anew.

Invariants
- The records of one outcome are one batch: all of them or none.
- A request that fails as a whole leaves no record; a failed topic or resource leaves none of its.

Not done: replication factors above 1, unclean election, reassignment, ELR, AlterPartition,
quotas on changes, policies, ACL checks (the forwarding worker's principal is trusted).

Non-obvious: a broker's epoch is the offset of its registration record, so that record is the first
of its batch; a partition whose last ISR member goes keeps that ISR and has no leader.
"""
