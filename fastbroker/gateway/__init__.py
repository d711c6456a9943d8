"""The gateway process: HTTP for the host. Started only when fastbroker.metrics.listener is set.

    main.py     run(): the process from its first file to its last
    http.py     GET of a few paths, for whoever asks, however badly
    metrics.py  /metrics and /healthz: what the host's processes say, as one page
    ask.py      one question to one process, with a deadline
    process.py  what the kernel knows of a process
    lag.py lag_rows.py  consumer lag, asked and joined from what the workers say

Invariants
- The gateway asks; nobody waits for it, and nothing else ends when it does.
- A process that is down or does not answer in time is missing from the page, and said to be; the
  page comes all the same.
- One page is in the making at a time, and whoever asks meanwhile, or within REUSE_S, gets the same:
  no number of scrapers is a load on the workers.
"""
