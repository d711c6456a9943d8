"""Load tests. README.md says how to run them and how to read what they print.

locustfile.py loads any Kafka with real clients: users/ (producers, consumers, probes, admins),
shapes/ (how many when), tally/ (what is counted), report/ (tables and pictures), run.py (wires
them to locust's events), arguments.py (its options), mock_cluster.py (the generator's ceiling).

The other packages measure one thing each: micro/ times single parts, limit/ compares with the
physical limit of the shape, durability/ and recovery/ what a flush and a crash cost, groups/ groups
with real clients and with thousands of members.
"""
