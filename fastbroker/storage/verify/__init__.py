"""Is a directory as it should be, and what does the next start do about what is not?

    tree.py              a path: partitions, log directories, data directories; begin here
    finding.py           what is wrong, how bad it is, what becomes of it
    partition.py         one walk over the batches of a partition, which feeds all of these:
      scan.py              a .log file as batches, and what is no batch
      records.py           what is inside a batch, against its header
      index_entries.py     .index and .timeindex
      aborted.py           .txnindex
      producers.py         sequences, transactions, .snapshot
      epochs.py            leader epochs, leader-epoch-checkpoint
    checkpoint_files.py  the small files of a log directory; text_files.py their lines
    journal_file.py      the commit journal
    topic_ids.py         ids of topics, from the metadata log
    layout.py, names.py  what is what
    judgement.py         from faults to findings: rehearsed by
      opening.py           the broker's own opening of a log or a directory, on
      rehearsal.py         a disk that is not changed by what is written to it

Invariants
- Nothing is written, and no lock is kept: all that is written goes to a RehearsalDisk.
- What the next start does is not described here but done, by its own code: a log is opened, and
  used and saved for the first time. A fault that is gone after that would be repaired.
- leader-epoch-checkpoint only has to tell of what lies below the recovery point.
- Memory does not grow with a log, but for its producers, one segment's indexes, and what a start
  would write.

Findings: damage stays, or whole records are lost; what would be repaired is mended at the next
start without loss; a note does no harm.

Not found, for nothing in the files tells:
- offsets of a recovery point or log start that are others than they were, but possible;
- a topic id that is another, when the metadata log is not there;
- an index entry that is not there: a search begins earlier;
- the leader epoch of the first entry of leader-epoch-checkpoint beginning earlier than it did;
- the last frame of the commit journal: damaged, it looks as a write that a crash interrupted;
- the end of a log of which nothing tells that it was longer.

Non-obvious
- Apache Kafka makes index files of the segment being written larger than filled: the zeros at the
  end of those of a broker that was killed are no entries.
- Offsets are missing where compaction has been: below cleaner-offset-checkpoint, or behind a batch
  with fewer records than offsets.
- A marker without a transaction is no fault: a coordinator tells every partition that was added.
"""
