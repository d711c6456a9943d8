"""The command line: arguments to calls.

Reading order: main (which commands there are, how errors are shown) and start; connection and
client (a small blocking Kafka client) and topic; produce with lines, partitioner and sender;
consume with fetcher, formats and interrupts, then member and ranges; output and pairs. What asks
about many things at once: coordinators and leaders, then log_offsets and retention; with progress,
durations and spans they carry the packages group and txn. The package log asks no broker, it reads
files.

Invariants:
- A command's module is imported when the command runs: `fastbroker start` pays for no client.
- Results go to stdout, everything else to stderr; an expected error is one line that names cause
  and remedy. Exit status: 0 done, 1 it did not work, 2 wrong arguments or configuration;
  `group lag --fail-above` has 3 for itself, `log verify` has 1 to 3.
- Only Kafka's protocol is spoken, so every command works against any Kafka broker from 3.0 on;
  `log` speaks to nobody.
- Many groups, topics or partitions are asked for in batches, and each request has a limit.

Not done:
- TLS and SASL; producing in transactions; reading only committed records (aborted ones are shown);
- several topics in one `consume`; group protocols other than the classic one with `range`.

Non-obvious:
- `produce` is idempotent: a batch that is sent again after a lost connection is stored once.
- `produce` sends what it has when its input pauses, so `tail -f log | fastbroker produce` is live.
- A coordinator has a connection of its own, as a fetch that waits holds up what is sent behind it.
- A group's leader assigns to members of other programs too, whose topics may differ from ours.
"""
