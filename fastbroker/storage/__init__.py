"""The log on disk, in Kafka's files: what is appended, found, flushed, recovered and dropped.

    disk.py             the only door to files
    log.py log_files.py  one partition's log; begin here. Its files: made, flushed, saved, closed
    opening.py recovery.py  from what is on disk to a log, and how much of it is good
    segments.py         the log's segments in their order: where offsets are, what is read
    segment.py rolling.py  one .log file with its indexes; when the next begins
    batch_file.py good_batches.py  its batches, and how far they are good
    segment_indexes.py index.py  .index and .timeindex: what of them is trusted, what is in them
    snapshots.py retention.py  producers as they were at an offset; which segments may go
    compaction/         the last record of each key stays; see its guide
    swap.py             segments take the place of others on disk
    time_search.py record_time.py  from a timestamp to a record, from an offset to a timestamp
    unflushed.py        how far a log is on the medium, and what waits
    flush_job.py        what one flush has to sync
    journal.py          the commit journal: what many small flushes cost one sync for
    journal_frames.py   what of it counts after a crash
    journal_replay.py   put back into the segments at the start, before any log opens
    validator.py        what is accepted from a client
    producer_state.py   idempotent and transactional producers
    txn_index.py        which transactions were aborted, .txnindex
    leader_epochs.py    which epoch wrote which offsets
    checkpoints.py      small text files
    offset_checkpoints.py  recovery points, log starts, how far compaction is
    verify/             is a directory as it should be; what does a start do about what is not
    partition_metadata.py  whose directory it is
    space.py            who may write when space is short, and what an OSError means
    damage.py           what is wrong beyond what a crash leaves: told, kept aside
    reserve.py          space for writes that must not fail
    log_dir.py          a broker's directory: lock, identity, clean shutdown, all its logs

Invariants
- recovery_point <= flushed_offset <= log_end_offset, log_start_offset <= flushed_offset. A write is
  acknowledged below flushed_offset (with flush.messages=1), whoever asks.
- Only whole, checked batches are below log_end_offset; what a crash left behind that is cut off
  before anybody reads it.
- Nothing here waits or has a thread: a FlushJob is handed out, run elsewhere, and given back.
- Segments before the active one do not change; compaction puts others in their place.

Not done: tiered storage, several directories.

Non-obvious
- Logs are opened when somebody needs them, clean or not in one way: what is below the recovery
  point is trusted, what is behind it is read. Index files are not synced before a roll, so their
  entries are looked through; saves from time to time keep what is to be read short.
- A snapshot is written only when every marker below it is in a synced .txnindex, and those above
  the recovery point are not believed: nothing else tells of aborted transactions.
- The recovery point stays below the first leader epoch whose file is not synced.
- Transactions begin in the order of their first offsets, so those that are open need no sorting.
- The epochs of a log are kept from its recovery point on, not from its start: the journal may hold
  batches that were cut from the log since, and their epochs tell them apart.
- A recovery point on disk that belongs to an earlier topic of the same name would make the replay
  pass over the new one's records: it is taken out before the new log is made.
- A failed sync means that pages may be gone: the job is not run again, the directory goes offline
  for as long as the process lives, which goes on so that it is seen and not started anew at once.
  Recovery drops what it reads from the page cache first: there is what the disk never got.
- A full disk takes nothing offline; what was refused left no trace.
- A damaged batch above the recovery point ends the log there; below it nothing is ever cut.
- An answer on its way may still send from a segment that was dropped: the open file lives as long
  as somebody holds it.
"""
