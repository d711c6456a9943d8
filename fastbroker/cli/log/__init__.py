"""`fastbroker log`: a broker's files, shown and verified; nothing is written.

Reading order: log (the commands together); verify, which shows what storage/verify finds; dump,
which goes through files: each becomes facts (batches, entries), which are printed as JSON, or for
people by page and sheet; values and decoded make bytes readable.

Invariants:
- A file is gone through, never held: what is printed begins at once and can be stopped.
- Facts have the same names in JSON whatever the file's state: a damaged batch says so in "wrong".

Non-obvious:
- The columns of a long table are measured on its first rows, and only grow after that.
"""
