"""The controller process: the quorum and the metadata rules on one event loop.

    main.py       run(): the process from its first file to its last
    node.py       carries out the quorum's effects on the log; holds the image; commits
    snapshots.py  the image as files, so that a start reads little of the log
    requests.py   frames in, answers out: which API is answered by which rule
    metrics.py    what it says when it is asked for its metrics
    home.py       its directory: meta.properties, quorum-state, the log

A mutating request runs its rule on the newest image, its records become one batch, and its answer
waits until that batch is on disk and committed. Requests that come together share one flush.

Invariants
- What is answered or given to an observer is on disk.
- A failed write or flush ends the process: its image may be ahead of its disk.
- A worker is known by the connection it registers or beats on; when that closes, it is fenced.

Not done: listeners on TCP, several voters, ACLs.

Non-obvious: answers on one connection are in order, so a waiting Fetch holds back those behind it:
a worker fetches on a connection of its own.
"""
