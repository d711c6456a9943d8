"""Compaction: of each key the last record stays, as Kafka's cleaner has it (KIP-98, KIP-534).

    candidates.py     which part of a log can be cleaned, and whether it is due
    cleaning.py       one cleaning of one log, step by step; begin here
    source.py         batches of old segments, read in chunks
    offset_map.py     keys of the dirty part -> their last offsets; how much memory that takes
    grouping.py       which old segments become one new segment
    transactions.py   which batches were aborted, which markers are of no use any more
    rewriting.py      a group of old segments -> the files of a new one

The work per record and per byte is in cext/cleaner.pyx; ../swap.py puts the new files in the place
of the old.

What stays
- The last record of a key; what has no key goes. Offsets, also a batch's first and last, never
  change.
- A tombstone, until a cleaning later than delete.retention.ms after the first one that met it: that
  one writes the time into its batch (bit 6, the delete horizon, in place of the base timestamp).
- No record of an aborted transaction. Its marker, and one that committed: as long as a batch of the
  transaction is there, and then until its own delete horizon.
- The batch with the last sequence of a producer that is known, or the marker with its epoch: what
  is known of producers could not be learnt again without. It may have no record left.
- The last batch of a segment, for the same price: segments have no gaps between them, so recovery
  can tell a missing one, and a swap that was interrupted knows how far its segment reaches.

Invariants
- Nothing from the last stable offset on, in the active segment, or above the recovery point is
  touched; nor is a log in which a damaged batch was found, until the next start.
- What a reader sees is the log before or after the replacement of one group. Groups are replaced in
  the order of offsets, so a marker never goes before the data that it speaks about.
- A batch does not grow by being compressed anew, so new segments stay within their limits.
- Everything here but `replacement` runs on a thread, on objects of its own: the log's belong to the
  loop.

Non-obvious
- Kafka lets go of the last batch of a segment in the middle of a log; then the next offset of a
  segment is not the base of the one behind it.
- Kafka empties the last marker of a producer without data instead of keeping it, and then does not
  learn its epoch from the log again. Here it stays whole.
- When the map is full, the log is cleaned up to the offset reached, which may be inside a batch.
"""
