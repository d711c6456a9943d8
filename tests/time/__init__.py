"""Time goes by: retention as Apache Kafka does it, and a broker's day beside a model.

    retention_cases.py        logs that are grown and retained; record_retention.py has Kafka do it
    test_retention_of_kafka.py  ours does the same
    model.py                  a log by the rules alone
    world.py                  one broker with a virtual clock, real files, restarts and kills
    day.py                    what happens in it, and the comparison with the model
    memory.py                 whether memory goes up
    planted.py                bugs that the day has to find
    test_day.py               24 hours; FASTBROKER_HOURS=240 for longer

Non-obvious
- Files are as old as the virtual clock says (world.TimedDisk), nothing is synced, and the directory
  is in memory: what is simulated is time, not power cuts.
- `Day(clean=...)` runs a round of compaction each hour; compacted logs are compared by the last
  value of each key then, and all others as strictly as before.
- A retention that was killed may have renamed some files already; no timer waits for those.
"""
