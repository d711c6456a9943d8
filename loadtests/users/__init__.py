"""Locust users that are Kafka clients: each has its own librdkafka producer, consumer or admin.

Reading order: kafka_user.py (what they share), records.py (what a record holds), producer.py,
transactions.py, consumer.py, end_to_end.py, admin.py, topics.py (made before a run).

Non-obvious
- librdkafka works in threads of its own; Python sees it in poll() and consume(). These are called
  with a timeout of 0 and with a greenlet's sleep between, never blocking: a call that blocks would
  stop all users of the process. What can only block (commits, closing) runs in gevent's pool of
  real threads.
- A latency ends when a greenlet polls. Greenlets poll every millisecond, or less often in a process
  of more than 20 users; reports have a row that says how late greenlets came to run.
- A burst of a producer has one time, that of its first record, or with --rate the time when it was
  due: a producer that falls behind its rate counts the delay as latency.
"""
