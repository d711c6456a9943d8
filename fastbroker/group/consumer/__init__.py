"""Consumer groups with the protocol of KIP-848: the server assigns, members reconcile.

Members send heartbeats; the answer tells a member what to own. A member that has to let go of
partitions does that first; whoever is to have them gets them when its heartbeat shows that it did.
Everything but timers is in records of __consumer_offsets.

Invariants
- A partition has one owner: who was told to own it, or has not said yet that it let go of it.
- A member learns of a change only after its records, and all before them, are below the high
  watermark. A heartbeat that changes nothing writes nothing.
- A change is applied at once and undone if it was not written; memory is what a reload would find,
  plus what is on its way into the log (change.py).
- One assignment a group and epoch; epochs only grow.

Reading order
    state.py member.py records.py   words; what is kept, as values and as records
    reconcile.py                    one member's way to its target: the heart of it
    group.py                        a group: setters of what is kept, and what follows from it
    change.py                       a change: applied, written, undone
    update.py                       subscription -> epoch -> target assignment -> one step
    heartbeat.py                    ConsumerGroupHeartbeat
    assignor/                       who should own what
    regex.py environment.py         topics; settings.py pace.py: times
    classic_members.py embedded.py  members with the classic protocol; conversion.py: both ways
    commit.py replay.py             offsets, reload; describe.py explain.py: for administrators

Costs, measured on a 2-core VM with Python 3.11
- A heartbeat that changes nothing: 4 to 6 us, and 1 us of codec. One that reconciles: 0.1 ms.
- 10,000 members, 10,000 partitions: 40 to 70 ms for an assignment, at most once a second.
- A regex against 10,000 topics: 25 ms when somebody brings it; new topics are matched one by one.

Non-obvious
- A member learns what to do from its next heartbeat, so the interval that it is told is what a
  rebalance takes. Unless it is set, it is as short as the number of members here allows: 250 ms
  for up to 100, 5 s from 2,000 on, shorter for who waits (pace.py). Measured with librdkafka and
  Java clients: a second consumer has its half 60 to 300 ms after it joins.
- The time between two assignments is adaptive in the same way, and a timer makes one that had to
  wait: Kafka waits for a heartbeat.
- Regexes are resolved in the heartbeat that brings them: the first answer has the assignment.
- An unchanged member that only differs in its previous epoch is not written again, unlike in Kafka.
- The metadata hash is not Kafka's: groups that Kafka wrote are rebalanced once.
- Members of a classic group that rebalances while it is converted keep what they say they own.
- A static member may join again with the id that it has: its answer was lost. Kafka refuses it.
- A classic member that was removed and joins with partitions has to let go of them first:
  UNKNOWN_MEMBER_ID.
"""
