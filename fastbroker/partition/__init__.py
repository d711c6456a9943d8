"""One partition as its leader sees it, and what waits for it.

    partition.py       leader epoch, high watermark, appends and reads; begin here
    purgatory.py       who waits for an offset, who waits for data
    fetch_session.py   incremental fetch (KIP-227)

Invariants
- log_start_offset <= high_watermark <= log_end_offset; the high watermark never goes back.
- log_start_offset <= last_stable_offset <= high_watermark. A transaction holds the last stable
  offset back until its marker is below the high watermark: nobody reads what may still be lost.
- A transaction's first batch is written only with a guard taken before its coordinator was asked,
  which a marker makes void: no transaction hangs that its coordinator does not know.
- With flush.messages=1 the leader counts itself into the high watermark only up to its flushed
  offset: what a consumer sees, and what is acknowledged, is on disk.
- A partition is owned by one worker and its loop: no locks.
- Nothing here knows the cluster: leadership arrives as values, time as numbers.

Not done: followers, ISR changes.

Non-obvious
- The last stable offset moves only when the high watermark or the log's start does, so readers of
  committed data are woken with all others.
- Waiting requests are woken by the high watermark, in the order in which they came; a woken fetch
  looks again at all of its partitions.
"""
