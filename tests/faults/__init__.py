"""A disk that misbehaves: full, broken, or with files that are not what they were.

    mounts.py       a small file system of a test's own
    injection.py    system calls of a running process that fail
    damage.py       a broker's directory to be damaged

What is injected is real: a file system that is full, a system call that fails in a real broker,
bytes changed in its files. They need root, and are part of every run.
"""
