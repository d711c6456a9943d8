"""Simulations: a state machine, its clients, its log and its clock in one process, and a seed.

A schedule is what one seed makes of one simulation: some tens of steps, each something that a
client, the log, the clock or an election may do, then a quiet end in which everything settles.
Invariants are checked after every step; each simulation's module says which.

    pytest tests/group/test_simulation.py                      the default number of schedules
    pytest tests/group/test_simulation.py --schedules 1000000  more of them
    pytest tests/group/test_simulation.py --seed 4711          replays one

Reading order: schedules.py (running many); tests/group/simulation.py (classic groups with offsets
and transactional offsets), tests/txn/simulation.py (transactions). Each has planted bugs beside it,
which its schedules must find: a simulation that finds nothing proves nothing.

Non-obvious
- Seeds begin at 0 and are the same everywhere: a failure in CI is replayed by its seed alone.
- Speed is coverage: no message is formatted, and nothing encoded, unless it is needed.
"""
