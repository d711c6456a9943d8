"""Kafka's protocol as tables: messages, headers, metadata records, internal-topic records.

Reading order: schema.py (how a message is declared), messages/list_offsets.py (one of them),
api.py (from key to classes), header.py (frames). The codec itself is cext/codec.pyx.

Invariants
- One class a message, all versions in it; versions are exactly Apache Kafka 4.3's.
- Names are Apache's in snake_case, so a KIP's field can be found by search.
- Nothing here does I/O or knows what a message means.
- Decoded bytes fields are views of the input: copy what must outlive the frame.

Non-obvious
- An array decodes to a list; the default of an array is an empty tuple, never shared and changed.
- A struct field's default is None. A tagged struct that is None is left out, as Kafka leaves out
  one that equals its defaults.
- ApiVersions responses have header version 0 in every version.
- The client id in a flexible request header is not compact.
- Produce is declared from version 3 but announced from 0: old librdkafka decides by that whether it
  may compress (KAFKA-18659). That is the handler's business.
"""
