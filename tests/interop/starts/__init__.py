"""Starting points: programs that a team copies on its first day, for Node.js and Python.

node/, python/: one file a program, complete, without a framework; README.md prints two of each and
links to the others (../test_readme.py compares). The first lines of each say what it does and how
it is called; $BOOTSTRAP_SERVERS names the broker.

Reading order of the tests: programs.py runs them, topic.py makes, fills and reads their topics,
lost_answers.py is a network that loses answers; then test_producers.py, test_consumers.py,
test_failures.py, test_exactly_once.py.

Non-obvious, of KafkaJS 2.2.4, read in its source:
- A send() to several partitions of which one has failed is tried again without the brokers that
  have answered, and with those that have yet to: what has moved to one of the former is lost, what
  one of the latter gets is doubled, idempotent or not. Records without a key are shared out anew,
  too. So whatever must not be lost or doubled is sent to one partition at a time.
- The sequence of a failed request is taken back, so that an idempotent producer is right only when
  the same records follow, and one send() is under way at a time. Its retries are 5, not unlimited.
- consumer.commitOffsets() does nothing once disconnect() was called; commitOffsetsIfNecessary(),
  which eachBatch is given, still works.
- A stop waits for the fetch under way: maxWaitTimeInMs, 5 s unless it is set.
- After an error that does not pass the consumer ends, and the process with status 0.
- A handler that never waits lets no signal and no heartbeat through until its batch is done.
- On Node.js 24 it says TimeoutNegativeWarning, once; that is harmless.

@platformatic/kafka 2.12 decodes what it has fetched in one go. Of the 10 MB that it asks for, well
compressed, that is half a minute without a heartbeat.
"""
