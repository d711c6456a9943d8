"""What clients did and saw, and what is wrong with it: a checker of histories.

Clients in any language append JSON lines to a file each; the files together are a history. A line
is written whole, and before the call that it announces, so that a client may be killed at any
moment: only the last line of a file may be torn. Times are whole milliseconds of the machine's
clock, rounded down. Every line has "at", "process" (one name for one life of one client) and
"event"; a value is sent to a topic once, ever.

    send       id topic key value [partition] [txn]     a record is handed to the client
    sent       id partition [offset]                    acknowledged
    unsent     id                                       certainly not written
    begin      txn                                      txn: a name, used once
    commit     txn        committed  txn                asked for; done
    abort      txn        aborted    txn                asked for; certainly not committed
    offsets    id group offsets [txn]                   asked for; {"topic/partition": next, ...}
    stored     id                                       done (in a transaction: with its commit)
    fetched    asked group offsets                      what the group has stored; asked: the time
    poll       topic partition records [txn]            records: [[offset, key, value], ...]
               [isolation]                              "read_uncommitted": unless it is committed
    seek       [partitions]                             positions are set anew (none named: all)
    reached    topic partition offset                   a reader from the beginning came to the end
    end        asked topic partition offset             the log end offset that the broker told

What has no second line is unknown: it may have happened. A transaction whose commit was not even
asked for was not committed. What is found (checker.py, the definitions are Jepsen's):

    inconsistent-offsets   two values at one offset
    duplicate              one value at two offsets
    aborted-read           (G1a) a value whose writer failed was read
    precommitted-read      a transaction read what it had written itself
    torn-transaction       part of a transaction was read, part was not, to the end
    lost-write             a value that must be there was not read, later ones were
    unseen                 the same of the last values, after everything was read to the end
    poll-skip              a reader passed over a value (int-: within one poll)
    nonmonotonic-poll      a reader went back (int-: within one poll)
    nonmonotonic-send      a sender's later record has the lower offset (int-: in a transaction)
    realtime-inversion     acknowledged before another was sent, and at a higher offset
    key-order              a sender's records of one key are read in another order
    phantom                a value that nobody sent
    misrouted              a value in another topic or partition, or with another key
    circular-reads         (G1c, write-read edges) transactions that read from each other
    end-offset-regress     the log end offset went below what was acknowledged or told
    group-offset-lost      a group's stored offset is not the last one that was acknowledged

A fault is told once, by the name of its cause: what was lost is no skip for those who passed over
it, and what is missing of a transaction of which something was read is torn, not lost.

Reading order: events.py (lines to writes, transactions and reads), checker.py and what it asks
(visibility.py, orders.py, groups.py, cycles.py); correct.py makes right histories by chance,
planted.py plants one fault of each kind, test_checker.py says that each is found.
"""
