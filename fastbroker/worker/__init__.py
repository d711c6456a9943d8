"""The worker process: one complete broker on one event loop.

    main.py         run(): the process from its first file to its last
    worker.py       wires everything below; begin here
    controller.py   the connections to the controller: registration, heartbeats, forwarding
    observer.py     follows the metadata log, one image after the other
    snapshot_fetch.py  the snapshot that it begins with
    replicas.py     partitions opened, led, configured and dropped as the image says
    flusher.py      one thread that syncs; everything appended meanwhile is the next flush
    flush_round.py  what a round syncs: segments themselves, or one commit journal for many
    checkpoint.py   another thread that makes the journal's full half free again
    syncing.py      what both threads are
    group_coordinator.py, transaction_coordinator.py   wired when they are first needed
    internal_topic.py  what a coordinator reads and writes in its internal topic
    peers.py        calls between the workers of this host
    enlistment.py   partitions added to transactions, whoever coordinates those
    log_starts.py   where logs begin, on disk before it is promised
    upkeep.py       retention, checkpoints, expiry
    compaction.py   the last record of each key stays: which log is next, and when
    throttle.py     a thread's share of the disk
    removal.py      files of what was deleted
    space.py        looks at what is left of the disk
    lag.py          what the gateway makes consumer lag of
    timers.py       the clock, and one timer wheel
    metrics.py      what it says when it is asked: request_metrics.py, partition_metrics.py,
                    group_metrics.py, flush_counts.py; closed_logs.py: of logs nobody has opened

Invariants
- One loop, no locks: the sync threads get jobs and give back results, they touch nothing else.
- The listener accepts only when the controller has unfenced this broker and every partition that it
  leads is open.
- An exception that nobody expected ends the process; the supervisor starts it again and recovery
  makes sure of the logs. A failed sync takes the log directory offline; a journal that cannot
  grow for want of space does not: its round is run again, directly.

Non-obvious
- Two connections to the controller: answers on one are in order, and a waiting fetch would hold
  back heartbeats.
- The metadata log before this process's registration is read, not carried out: a topic's earlier
  life would put the later one's directory aside and drop its committed offsets, and a coordinator
  elected in the past would find no leader for what was made later, and write no markers there.
- A lost connection to the controller fences this broker there, so a heartbeat is the first thing
  sent on a new one.
"""
