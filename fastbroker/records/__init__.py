"""Record batches (format v2) as values: compression, building, reading, control records.

    compression.py   codecs by their number and by their name in configurations
    builder.py       records in, one batch out: coordinators, the metadata log, the command line
    reader.py        batches in, records out: replay of internal topics, the command line
    control.py       the records that brokers write for themselves

The bytes are handled by `fastbroker._c.record_batch`, whose docstring has the grammar. What a
broker accepts from a client is decided in storage/validator.py.

Invariants
- The path of a client's batch makes no object for a record; builder and reader do, and are for
  the broker's own topics and tools.
- Decompression gives pieces of a bounded size; nobody holds what a stranger's bytes expand to.

Non-obvious
- Java writes snappy in the framing of xerial's library, not in snappy's own; a raw snappy block is
  accepted as well, because some clients write it.
"""
