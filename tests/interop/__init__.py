"""Real, unmodified clients from their registries against a broker.

The broker under test is one fixture (conftest.py: `broker`): a fresh BrokerProcess with two
workers, or the one that is running at $FASTBROKER_TEST_BOOTSTRAP (host:port;
$FASTBROKER_TEST_DATA is its data directory, for the tests that read files).

Reading order: records.py (what is produced, how it is compared), one client (aiokafka/client.py),
clients.py (the table of clients), installs.py (how their runtimes get into .interop/), then the
tests: test_matrix.py, test_kafka_*tools.py, test_readme.py.
starts/ has the programs that the README tells teams to begin with, and their tests.

Every client is a folder with a small program of the same command line; a record is a JSON line
{"topic", "partition", "key", "value", "headers": [[name, value], ...]}, bytes in hex or null.

    client produce BOOTSTRAP FILE CODEC=TOPIC...   each record of FILE to its topic and partition,
                                                   compressed as its topic's CODEC says
    client consume BOOTSTRAP GROUP COUNT TOPIC...  subscribe as a member of GROUP, from the
                                                   beginning; print COUNT records, leave the group

Non-obvious:
- Versions are pinned: package-lock.json, go.sum, pom.xml, and tests/apache_kafka for the tools.
- Clients with known gaps (a header without a value, mostly) say so in clients.py.
- Node.js comes from npm, too: @platformatic/kafka needs a newer one than distributions have.
- A missing runtime skips the tests that need it, and fails them where CI=true.
"""
