"""The quorum that keeps the metadata log: Kafka's Raft, as a pure state machine.

    quorum.py     Quorum.step(message, now_ms) -> effects: election, appends, fetches
    messages.py   the messages and the effects
    leader.py     what a leader knows of its voters and observers; the high watermark
    epochs.py     which leader epoch wrote which offsets
    snapshot.py   the bytes of a snapshot, which stands for the log before an offset
    state.py      what must outlive the process, in the file quorum-state

Replicas pull: whoever follows sends Fetch, and its fetch offset is its acknowledgement. The
process that owns a Quorum carries out the effects in their order; a failed one ends the process.

Invariants
- An epoch and a vote are on disk before anything is done in that epoch.
- The high watermark passes a record only when a majority of voters has flushed it, and only once a
  record of the leader's own epoch is among them. It never goes back while the process lives.
- Observers are given committed records only.

Not done: several voters (Vote, BeginQuorumEpoch, EndQuorumEpoch, following a leader, resigning),
kraft.version 1 (voters in the log).

Non-obvious: the only voter still raises its epoch at every start, so that no two lives of the
process write in the same epoch.
"""
