"""Server-side assignors of consumer groups: who should own which partition.

Pure functions of a GroupSpec. All partitions of the topics that anyone subscribes to are assigned,
each to exactly one member that subscribes to its topic.

    spec.py      what an assignor is given
    uniform.py   even numbers of partitions, and as few moves as that allows: the default
    range.py     the same partition numbers of every topic to one member: for joins
"""
