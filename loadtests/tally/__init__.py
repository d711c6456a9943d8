"""What a load test counts: every record, by operation and second, beside locust's own statistics.

An operation is a name of two words, locust's request type and name: `produce record`. Users hand
what happened to a Recorder; four times a second it goes to a Series, which the report is made from,
and to locust as `request` events that stand for many records (counted_events.py).

Reading order: distribution.py, series.py, recorder.py, counted_events.py, generator.py (what the
load generator itself was busy with), broker_cpu.py.

Non-obvious
- Locust keeps latencies in whole milliseconds and in steps of 10 from 100 on; a Distribution keeps
  them to 1.6 %. Both count every record: a percentile here is not that of a sample.
- distribution.py and series.py know nothing of locust and gevent: what reads reports needs these.
"""
