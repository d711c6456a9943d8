"""Consumer groups and their committed offsets, kept in __consumer_offsets.

The coordinator of a group is the leader of one partition of __consumer_offsets; everything it
must not forget is a record there. Nothing here opens a file, reads a clock or draws a number: a
write is a call of `append`, time comes from `Timers`, member ids from a factory. A Shard belongs to
the process that leads its partition, which alone touches it.

Invariants
- A member learns its assignment only after the group's record is below the high watermark.
- A group hands out one assignment per member and generation, also across a reload.
- A committed offset is visible, and acknowledged, only once it is below the high watermark.
- `append` completes in the order it was called; what completes is applied as its replay would be.
- State is changed before a waiting request is answered: an answer may start the next request.
- An offset of a transaction counts once its commit marker is below the high watermark, and of all
  offsets of a partition the one whose record is the last in the log; a reload finds the same.

Reading order
    coordinator.py     every API: member_requests.py, offset_requests.py, administration.py
    shards.py          a group's shard; elections and loading are coordination/topic_shards.py
    shard.py           one partition of __consumer_offsets: its groups and offsets, replay, expiry
    classic/group.py   the state machine of join and sync; then join.py, sync.py, membership.py
    classic/roster.py  who is a member, who leads, which protocol wins
    classic/record.py  what is kept of a group
    consumer/          groups whose assignments the server makes (KIP-848): has a guide of its own
    offsets.py         committed offsets as values and as records; offset_commit.py, offset_fetch.py
    pending_offsets.py those of open transactions; transactional_commit.py; transactions.py says
                       what that asks of the log and of transaction coordinators
    classic/explain.py, consumer/explain.py  what people are told, see protocol/explanation.py
    group_log.py       a line for each rebalance, few in a flood
    committed.py backlog.py  what all groups have committed, and how far behind that is

Non-obvious
- A group that exists only because someone asked for a member id has no record, unlike in Apache
  Kafka: after a reload that member is told UNKNOWN_MEMBER_ID and asks again, in either case.
- First joins of an empty group are gathered until 20 ms pass without another, at most 200 ms,
  unless group.initial.rebalance.delay.ms is set: a lone consumer starts at once.
- A second JoinGroup or SyncGroup of a member answers the first one (REBALANCE_IN_PROGRESS): an
  unanswered request would hold up its connection.
- A transaction is verified before its group is looked at: while its coordinator is asked, others
  have their turn.
- An offset that a later record of the log has overtaken stays pending: OffsetFetch with
  require_stable waits for the marker all the same, as in Apache Kafka.
- Writes of one shard are not gathered into one batch while a flush runs: measured, it costs what
  it saves (loadtests/micro/offset_commits.py), the flush is shared already.
- A group that was only offsets outlives the last of them, as in Apache Kafka: it can be deleted,
  and goes by itself when expiry comes by.
- A repeated SyncGroup of the leader does not store a second assignment for the same generation.

Not done: share and streams groups.
"""
