"""Ask the real one: what Apache Kafka answers, recorded, and asked again of this broker.

A scenario is a generator of requests; it is played against Apache Kafka once, its decoded answers
are kept in data/, and against our broker in every test run, without a JVM. What differs by nature
(ids, times, addresses, texts of errors) is written as placeholders before the comparison.

    python -m tests.recordings record [PATTERN]      play against Apache Kafka (needs the jars)
    python -m tests.recordings compare [PATTERN] [--bootstrap HOST:PORT]
                                                     play against us, print what differs

Reading order: scenario.py (what a scenario is), scenarios/delete_records.py (a few), plain.py
(answers as JSON), play.py (the player), differences.py (differences that we accept, and why).

Non-obvious
- Topic and group names come from the scenario's name, so that scenarios do not see each other.
- Records have fixed timestamps of 2020; topics of scenarios therefore keep records for ever.
- A generator gets each answer as the value of its `yield`, undecorated, ids and all.
- What follows an end of a transaction is asked for once its state is complete (`settled`), and
  assignments of consumer groups at once (`prompt_group`), so that no answer depends on when.
- A new scenario is deterministic if `compare --bootstrap` on a second fresh Kafka finds nothing.
"""
