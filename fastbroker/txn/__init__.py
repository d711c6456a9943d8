"""Transactions: which producer owns a transactional id, and how its transactions end.

The coordinator of a transactional id is the leader of one partition of __transaction_state;
everything it must not forget is a record there. Nothing here opens a file, reads a clock or draws a
number: a write is a call of `append`, time comes from `Timers`, producer ids from `allocate`,
markers go out through `write_markers`. A Shard belongs to the process that leads its partition.

Invariants
- A decision (PREPARE_*) is never taken back: once it is committed, every partition gets its marker,
  by this coordinator or by whoever leads the partition after it.
- Markers are written for committed decisions only, and COMPLETE_* after all of them.
- An epoch is given to one producer only, and rises whenever its owner may be somebody else.
- Memory is what a reload would find (but for last_producer_epoch); what is not committed is pending
  and known to nobody.
- State is changed before a waiting request is answered: an answer may start the next request.

Reading order
    state.py         the states, and which follows which: a diagram
    transaction.py   a state as a value, and every transition
    initialize.py, end.py, addition.py   what a request may do: decision tables
    producer_ids.py  producers without a transactional id
    attempt.py       decisions that are made again once something is there
    record.py        the record of a state
    shard.py         one partition of __transaction_state: writing, replay, recovery, time
    markers.py       markers to the leaders of partitions, until they are written
    coordinator.py   every API

Non-obvious
- Epoch 32767 is given to nobody: it is left for fencing the owner of 32766, and for its markers.
- AddPartitionsToTxn and AddOffsetsToTxn wait for a transition on its way and for the completion of
  the transaction before. Kafka answers CONCURRENT_TRANSACTIONS, and whoever asked, a broker or a
  client, tries again: every 20 to 300 ms, and KafkaJS with other records than before.
- A failed write that fences a producer leaves its epoch as it was; Kafka keeps the raised one in
  memory. Either may be in the log, and the next write decides.
- With TV2 a fence is an end like every other: a producer whose transaction timed out may abort it,
  and goes on with the raised epoch, unless somebody else has got the next one.

Not done: two-phase commit (KIP-939; InitProducerId 6).
"""
