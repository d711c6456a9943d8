"""One partition as its leader sees it, and what waits for it.

    partition.py       leader epoch, high watermark, appends and reads; begin here
    purgatory.py       who waits for an offset, who waits for data
    fetch_session.py   incremental fetch (KIP-227)

Invariants
- log_start_offset <= high_watermark <= log_end_offset; the high watermark never goes back.
- With flush.messages=1 the leader counts itself into the high watermark only up to its flushed
  offset: what a consumer sees, and what is acknowledged, is on disk.
- A partition is owned by one worker and its loop: no locks.
- Nothing here knows the cluster: leadership arrives as values, time as numbers.

Not done: followers, ISR changes, the last stable offset of transactions (it is the high watermark).

Non-obvious
- Waiting requests are woken by the high watermark, in the order in which they came; a woken fetch
  looks again at all of its partitions.
"""
