"""How far from the physical limit: the broker beside a C server that does the least of the same.

    python -m loadtests.limit [--rounds 3] [--flush fsync|none] [--json FILE] [--profile]

`server.c` receives a request, checks the CRC-32C of its batch, writes it to a file and answers; or
sends a file's range behind a small header. `load.c` drives it and the broker alike. CPU seconds are
compared, user and system, of the serving process with its threads: wall time depends on how many
cores the generator leaves, CPU time much less. Both run in turns on the same machine, so the ratio
is what to look at.

Reading order: server.c, load.c, build.py, sides.py (the two that are compared), __main__.py.

Non-obvious: the first touch of a page is slow on virtual machines, and free pages may be handed
back to the host within a second: pages are touched right before each run, and runs are short. The
kernel's own threads (writeback) are in nobody's CPU time; the kernel does some of the server's TCP
work in the generator's time and the other way round, on both sides alike.
"""
