"""How long until a broker with many partitions and much data serves again after kill -9.

    python -m loadtests.recovery [--partitions 10000] [--bytes 10e9] [--workers 2] [--json FILE]
    python -m loadtests.recovery --idle 100000 [--workers 1]

Builds a broker's data through Produce, stops it, starts it again, keeps it under load, kills every
process of it with SIGKILL at one moment and starts it anew. The clock runs from the command to the
`ready` line, to the first acknowledged record, and until every partition has acknowledged one
record and given it back. What was acknowledged under load has to be there. An empty broker is
killed and started in the same way for comparison. Done twice: with the files in the page cache, as
after the end of the processes alone, and with their pages dropped (posix_fadvise; what the kernel
knows of names and inodes stays), as after the end of the machine.

--idle: what partitions cost that nobody uses: proportional set sizes of the processes of a broker
that has so many, less those of an empty one, by partition; after creating them and after a restart.

Aims: all partitions serve within 2 s; 100,000 idle ones cost a worker at most 2 KiB each.

Reading order: pipe.py (a connection), cluster.py (topics and leaders), build.py, serving.py (the
clock), load.py, idle.py, __main__.py.
"""
