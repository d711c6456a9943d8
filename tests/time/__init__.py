"""Time goes by: retention as Apache Kafka does it, and a broker's day beside a model.

    retention_cases.py        logs that are grown and retained; record_retention.py has Kafka do it
    test_retention_of_kafka.py  ours does the same
    topics.py                 how each topic of the day is kept, and how busy it is
    model.py                  a log by the rules alone
    compacted.py              what a cleaning makes of it
    world.py                  one broker with a virtual clock, real files, restarts and kills
    state.py                  what the parts of the day share
    traffic.py                what clients do
    cleaner.py                a turn of compaction, in the broker and in the model
    look.py                   the comparison: files, logs, descriptors, objects
    day.py                    the course of it; begin here
    memory.py                 objects counted, and slopes of series
    planted.py  planted_compaction.py  bugs that the day has to find
    test_day.py  test_memory.py  24 hours; FASTBROKER_HOURS=240 for longer

Invariants
- The model says exactly which batches, records, bytes and files each log has, after every cleaning;
  what is read from reality is when a log was open, and which expired producers it still knows.
- Whatever the model of cleanings says, the last committed record of each key has to be there.

Non-obvious
- Files are as old as the virtual clock says (world.TimedDisk), nothing is synced, and the directory
  is in memory: what is simulated is time, not power cuts.
- Compaction has its turn in the middle of a minute: files that it opens are let go of at its end.
- A retention that was killed may have renamed some files already; no timer waits for those. A
  cleaning that was killed has replaced some groups: which, is seen from the names that it left.
- Memory is the same only where the state is: each morning, with nothing in use. Bounded caches are
  filled before the first one. A restart frees everything, so there are none on these days.
"""
